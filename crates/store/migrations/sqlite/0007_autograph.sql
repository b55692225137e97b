-- Hawk requests that were answered: none is answered twice. Times are Unix seconds, as Hawk has them. Same tables
-- as in ../postgres.

create table hawk_nonce (
    stamped integer not null,
    id      text    not null,
    nonce   text    not null,
    primary key (stamped, id, nonce)
) strict, without rowid;

-- Requests stamped before this are refused, because it is not known (any more) whether they were answered: what is
-- older than the database, and what was forgotten.
create table hawk_horizon (
    id      integer primary key check (id = 1),
    stamped integer not null
) strict;

insert into hawk_horizon (id, stamped) values (1, unixepoch());
