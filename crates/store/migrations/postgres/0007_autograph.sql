-- Hawk requests that were answered: none is answered twice. Times are Unix seconds, as Hawk has them. Same tables
-- as in ../sqlite.

create table hawk_nonce (
    stamped bigint not null,
    id      text   not null,
    nonce   text   not null,
    primary key (stamped, id, nonce)
);

-- Requests stamped before this are refused, because it is not known (any more) whether they were answered: what is
-- older than the database, and what was forgotten.
create table hawk_horizon (
    id      bigint primary key check (id = 1),
    stamped bigint not null
);

insert into hawk_horizon (id, stamped) values (1, floor(extract(epoch from now()))::bigint);
