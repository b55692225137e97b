-- The repository of The Update Framework: tasks, roots, roles, artifacts, what waits for signatures.
-- The same tables in the same order as in ../sqlite.

-- What is stored of the repository beside the rest: one document, or none yet.
create table tuf_repository (
    id       bigint primary key check (id = 1),
    document text collate "C" not null
);

-- `seq` is the order of submission. Times are in milliseconds. `attempts`: how often it was begun, and neither ended
-- nor forgiven.
create table tuf_task (
    seq     bigint generated always as identity primary key,
    id      text collate "C" not null unique,
    kind    text collate "C" not null,
    request text collate "C" not null,
    caller  text collate "C" not null,
    state   text collate "C" not null,
    result  text collate "C",
    created bigint not null,
    updated bigint not null,
    attempts bigint not null default 0
);

create index tuf_task_by_state on tuf_task (state, seq);

create table tuf_root (
    version   bigint primary key check (version > 0),
    document  text collate "C" not null,
    published bigint not null check (published in (0, 1))
);

-- Snapshot, timestamp, targets and every delegated role that there ever was. `expires` is in seconds. `head`: members
-- of `signed` that are not made anew for each version. `moving`: 0 is public as it stands here, 1 is to be signed, 2
-- is signed. `listed`: was public once. `document`: the whole file, of a role that people sign. `bytes` bounds the
-- length of its artifacts' entries, with what is staged.
create table tuf_role (
    name       text collate "C" primary key,
    version    bigint not null,
    expires    bigint not null,
    days       bigint not null,
    head       text collate "C",
    signatures text collate "C",
    moving     bigint not null check (moving in (0, 1, 2)),
    listed     bigint not null check (listed in (0, 1)),
    online     bigint not null check (online in (0, 1)),
    document   text collate "C",
    bytes      bigint not null
);

create index tuf_role_moving on tuf_role (name) where moving > 0;

-- `entry` is public, or about to be: a member of `targets` as JSON, `"PATH":{…}`. `next` is staged: what takes its
-- place, or the empty text where it is to go. A path can be longer than what an ordered index takes.
create table tuf_artifact (
    role  text collate "C" not null,
    path  text collate "C" not null,
    entry text collate "C",
    next  text collate "C",
    exclude using hash (path with =),
    check (entry is not null or next <> '')
);

create index tuf_artifact_by_role on tuf_artifact (role);
create index tuf_artifact_staged on tuf_artifact (role) where next is not null;

-- Metadata that wait for signatures.
create table tuf_pending (
    role      text collate "C" primary key,
    document  text collate "C" not null,
    submitted bigint not null,
    submitter text collate "C" not null
);

-- Proofs of possession that were asked for, until they are tried.
create table tuf_challenge (
    nonce          text collate "C" primary key,
    role           text collate "C" not null,
    operation      text collate "C" not null,
    pending_sha256 text collate "C" not null,
    new_sha256     text collate "C",
    expires        bigint not null,
    principal      text collate "C" not null
);

-- Target files that are kept here: the name of the file, and the path of the artifact.
create table tuf_hosted (
    name   text collate "C" primary key,
    path   text collate "C" not null,
    length bigint not null,
    sha256 text collate "C" not null,
    added  bigint not null
);

create index tuf_hosted_by_path on tuf_hosted (path);
