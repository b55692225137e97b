-- The publication log: what was published under tags and attestations, one log a deployment. Times are
-- Unix milliseconds. Same tables as in ../sqlite.

-- `leaf` is null once the entry is masked: its hash stays.
create table publication_entry (
    number    bigint primary key check (number >= 0),
    leaf      bytea,
    leaf_hash bytea not null check (length(leaf_hash) = 32)
);

create index publication_entry_by_hash on publication_entry (leaf_hash, number);

-- Whoever adds entries locks this row until the transaction ends: numbers have no gaps.
create table publication_state (
    id   bigint primary key check (id = 1),
    size bigint not null check (size >= 0)
);

insert into publication_state (id, size) values (1, 0);

-- Which node writes tiles and checkpoint, and until when.
create table publication_lease (
    id    bigint primary key check (id = 1),
    node  text collate "C",
    until bigint not null,
    fence bigint not null
);

insert into publication_lease (id, node, until, fence) values (1, null, 0, 0);
