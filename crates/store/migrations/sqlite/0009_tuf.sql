-- The repository of The Update Framework: tasks, roots, roles, artifacts, what waits for signatures.
-- The same tables in the same order as in ../postgres.

-- What is stored of the repository beside the rest: one document, or none yet.
create table tuf_repository (
    id       integer primary key check (id = 1),
    document text not null
) strict;

-- `seq` is the order of submission. Times are in milliseconds. `attempts`: how often it was begun, and neither ended
-- nor forgiven.
create table tuf_task (
    seq     integer primary key,
    id      text not null unique,
    kind    text not null,
    request text not null,
    caller  text not null,
    state   text not null,
    result  text,
    created integer not null,
    updated integer not null,
    attempts integer not null default 0
) strict;

create index tuf_task_by_state on tuf_task (state, seq);

create table tuf_root (
    version   integer primary key check (version > 0),
    document  text not null,
    published integer not null check (published in (0, 1))
) strict;

-- Snapshot, timestamp, targets and every delegated role that there ever was. `expires` is in seconds. `head`: members
-- of `signed` that are not made anew for each version. `moving`: 0 is public as it stands here, 1 is to be signed, 2
-- is signed. `listed`: was public once. `document`: the whole file, of a role that people sign. `bytes` bounds the
-- length of its artifacts' entries, with what is staged.
create table tuf_role (
    name       text primary key,
    version    integer not null,
    expires    integer not null,
    days       integer not null,
    head       text,
    signatures text,
    moving     integer not null check (moving in (0, 1, 2)),
    listed     integer not null check (listed in (0, 1)),
    online     integer not null check (online in (0, 1)),
    document   text,
    bytes      integer not null
) strict, without rowid;

create index tuf_role_moving on tuf_role (name) where moving > 0;

-- `entry` is public, or about to be: a member of `targets` as JSON, `"PATH":{…}`. `next` is staged: what takes its
-- place, or the empty text where it is to go. Without rowid: the entries of a role lie together, in order.
create table tuf_artifact (
    role  text not null,
    path  text not null,
    entry text,
    next  text,
    primary key (role, path),
    check (entry is not null or next <> '')
) strict, without rowid;

create unique index tuf_artifact_by_path on tuf_artifact (path);
create index tuf_artifact_staged on tuf_artifact (role) where next is not null;

-- Metadata that wait for signatures.
create table tuf_pending (
    role      text primary key,
    document  text not null,
    submitted integer not null,
    submitter text not null
) strict;

-- Proofs of possession that were asked for, until they are tried.
create table tuf_challenge (
    nonce          text primary key,
    role           text not null,
    operation      text not null,
    pending_sha256 text not null,
    new_sha256     text,
    expires        integer not null,
    principal      text not null
) strict;

-- Target files that are kept here: the name of the file, and the path of the artifact.
create table tuf_hosted (
    name   text primary key,
    path   text not null,
    length integer not null,
    sha256 text not null,
    added  integer not null
) strict;

create index tuf_hosted_by_path on tuf_hosted (path);
