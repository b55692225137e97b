-- Times are Unix milliseconds, lists are JSON, truth is 0 or 1. The same tables in the same order
-- as in ../postgres.

create table meta (
    key   text primary key,
    value blob not null
) strict;

create table generation (
    id    integer primary key check (id = 1),
    value integer not null
) strict;

insert into generation (id, value) values (1, 0);

create table data_key (
    id      text primary key,
    wrapped blob    not null,
    created integer not null
) strict;

create table signing_key (
    name           text primary key,
    id             text    not null,
    key_type       text    not null,
    owner          text,
    spki           blob    not null,
    blob           blob    not null,
    state          text    not null check (state in ('active', 'retired', 'revoked')),
    exportable     integer not null check (exportable in (0, 1)),
    formats        text,
    backend        text    not null,
    created        integer not null,
    revoked_at     integer,
    revoked_reason text,
    check ((state = 'revoked') = (revoked_at is not null))
) strict;

create table principal (
    name     text primary key,
    roles    text    not null,
    created  integer not null,
    disabled integer not null check (disabled in (0, 1))
) strict;

create table token (
    id        text primary key,
    principal text    not null references principal (name),
    kind      text    not null check (kind in ('token', 'hawk')),
    hash      blob    not null,
    sealed    blob,
    label     text,
    created   integer not null,
    expires   integer,
    last_used integer,
    revoked   integer,
    actions   text,
    resources text
) strict;

create index token_of_principal on token (principal, created, id);

create table policy (
    version    integer primary key check (version > 0),
    hash       text    not null,
    rules      text    not null,
    created    integer not null,
    created_by text    not null
) strict;

create table log_head (
    origin       text primary key,
    size         integer not null check (size >= 0),
    root         blob    not null check (length(root) = 32),
    checkpoint   text    not null,
    verifier_key text    not null,
    updated      integer not null
) strict;

create table idempotency (
    principal   text    not null,
    key         text    not null,
    fingerprint blob    not null,
    state       text    not null check (state in ('running', 'done', 'forgotten')),
    fence       integer not null,
    node        text    not null,
    lease_until integer not null,
    created     integer not null,
    status      integer,
    headers     text,
    body        blob,
    primary key (principal, key)
) strict;

create index idempotency_by_age on idempotency (created);

create table task (
    id           integer primary key autoincrement,
    queue        text    not null,
    dedupe       text,
    payload      text    not null,
    state        text    not null check (state in ('waiting', 'dead')),
    run_at       integer not null,
    attempts     integer not null,
    max_attempts integer not null,
    fence        integer not null,
    locked_by    text,
    locked_until integer,
    error        text,
    created      integer not null
) strict;

create index task_due on task (queue, run_at, id) where state = 'waiting';
create unique index task_once on task (queue, dedupe) where state = 'waiting';
