-- Times are Unix milliseconds, lists are JSON, truth is 0 or 1. The same tables in the same order
-- as in ../sqlite.

create table meta (
    key   text collate "C" primary key,
    value bytea not null
);

create table generation (
    id    bigint primary key check (id = 1),
    value bigint not null
);

insert into generation (id, value) values (1, 0);

create table data_key (
    id      text collate "C" primary key,
    wrapped bytea not null,
    created bigint not null
);

create table signing_key (
    name           text collate "C" primary key,
    id             text collate "C" not null,
    key_type       text collate "C" not null,
    owner          text collate "C",
    spki           bytea not null,
    blob           bytea not null,
    state          text collate "C" not null check (state in ('active', 'retired', 'revoked')),
    exportable     bigint not null check (exportable in (0, 1)),
    formats        text collate "C",
    backend        text collate "C" not null,
    created        bigint not null,
    revoked_at     bigint,
    revoked_reason text collate "C",
    check ((state = 'revoked') = (revoked_at is not null))
);

create table principal (
    name     text collate "C" primary key,
    roles    text collate "C" not null,
    created  bigint not null,
    disabled bigint not null check (disabled in (0, 1))
);

create table token (
    id        text collate "C" primary key,
    principal text collate "C" not null references principal (name),
    kind      text collate "C" not null check (kind in ('token', 'hawk')),
    hash      bytea not null,
    sealed    bytea,
    label     text collate "C",
    created   bigint not null,
    expires   bigint,
    last_used bigint,
    revoked   bigint,
    actions   text collate "C",
    resources text collate "C"
);

create index token_of_principal on token (principal, created, id);

create table policy (
    version    bigint primary key check (version > 0),
    hash       text collate "C" not null,
    rules      text collate "C" not null,
    created    bigint not null,
    created_by text collate "C" not null
);

create table log_head (
    origin       text collate "C" primary key,
    size         bigint not null check (size >= 0),
    root         bytea not null check (length(root) = 32),
    checkpoint   text collate "C" not null,
    verifier_key text collate "C" not null,
    updated      bigint not null
);

create table idempotency (
    principal   text collate "C" not null,
    key         text collate "C" not null,
    fingerprint bytea not null,
    state       text collate "C" not null check (state in ('running', 'done', 'forgotten')),
    fence       bigint not null,
    node        text collate "C" not null,
    lease_until bigint not null,
    created     bigint not null,
    status      bigint,
    headers     text collate "C",
    body        bytea,
    primary key (principal, key)
);

create index idempotency_by_age on idempotency (created);

create table task (
    id           bigint generated always as identity primary key,
    queue        text collate "C" not null,
    dedupe       text collate "C",
    payload      text collate "C" not null,
    state        text collate "C" not null check (state in ('waiting', 'dead')),
    run_at       bigint not null,
    attempts     bigint not null,
    max_attempts bigint not null,
    fence        bigint not null,
    locked_by    text collate "C",
    locked_until bigint,
    error        text collate "C",
    created      bigint not null
);

create index task_due on task (queue, run_at, id) where state = 'waiting';
create unique index task_once on task (queue, dedupe) where state = 'waiting';
