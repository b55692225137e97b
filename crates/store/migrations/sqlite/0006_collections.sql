-- Signed collections: buckets, groups, collections, records, accounts, history. All are objects in lists.
-- The same tables in the same order as in ../postgres.

-- `uri` is `/buckets`, `/buckets/B/collections/C/records`, …. `last_modified` is the highest that an object of
-- the list ever had; it stays when they go. `largest` bounds the length of their `data`, in bytes.
create table collection_list (
    list          integer primary key,
    uri           text not null unique,
    last_modified integer not null,
    largest       integer not null
) strict;

-- `data` is the object as it is served and signed: canonical JSON. `content` is a hash of what makes a record
-- the same as its copy. Without rowid: the objects of a list lie together, in the order of their ids.
create table collection_object (
    list          integer not null references collection_list (list),
    id            text not null,
    last_modified integer not null,
    deleted       integer not null check (deleted in (0, 1)),
    data          text not null,
    permissions   text,
    content       blob check (length(content) = 32),
    primary key (list, id)
) strict, without rowid;

create unique index collection_object_by_time on collection_object (list, last_modified);

-- Who is in which group.
create table collection_member (
    principal text not null,
    group_uri text not null,
    primary key (principal, group_uri)
) strict, without rowid;

create index collection_member_by_group on collection_member (group_uri);
