-- Signed collections: buckets, groups, collections, records, accounts, history. All are objects in lists.
-- The same tables in the same order as in ../sqlite.

-- `uri` is `/buckets`, `/buckets/B/collections/C/records`, …. `last_modified` is the highest that an object of
-- the list ever had; it stays when they go. `largest` bounds the length of their `data`, in bytes.
create table collection_list (
    list          bigint generated always as identity primary key,
    uri           text collate "C" not null unique,
    last_modified bigint not null,
    largest       bigint not null
);

-- `data` is the object as it is served and signed: canonical JSON. `content` is a hash of what makes a record
-- the same as its copy.
create table collection_object (
    list          bigint not null references collection_list (list),
    id            text collate "C" not null,
    last_modified bigint not null,
    deleted       bigint not null check (deleted in (0, 1)),
    data          text collate "C" not null,
    permissions   text collate "C",
    content       bytea check (length(content) = 32),
    primary key (list, id)
);

create unique index collection_object_by_time on collection_object (list, last_modified);

-- Who is in which group.
create table collection_member (
    principal text collate "C" not null,
    group_uri text collate "C" not null,
    primary key (principal, group_uri)
);

create index collection_member_by_group on collection_member (group_uri);
