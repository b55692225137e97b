-- Who vouches for tags, with which keys over time; requests that wait for more voices; the signed bundle
-- for offline use. The same tables in the same order as in ../postgres.

create table authority (
    name       text primary key,
    threshold  integer not null check (threshold >= 1),
    principals text,
    created    integer not null,
    updated    integer not null
) strict;

create table authority_key (
    authority      text not null references authority (name),
    number         integer not null check (number >= 1),
    id             text not null,
    spki           blob not null,
    signing_key    text references signing_key (name),
    detached       integer not null check (detached in (0, 1)),
    not_before     integer not null,
    not_after      integer,
    revoked_at     integer,
    revoked_from   integer,
    revoked_until  integer,
    revoked_reason text,
    primary key (authority, number),
    unique (authority, id),
    check ((revoked_at is null) = (revoked_reason is null)),
    check (revoked_from is null or revoked_at is not null),
    check (revoked_until is null or revoked_from is not null)
) strict;

-- `seen` is the version of the tag that was current when it was asked for, 0 without one; the payload of what
-- ended without a signature is empty.
create table tag_request (
    id             text primary key,
    authority      text not null references authority (name),
    tag            text not null,
    seen           integer not null check (seen >= 0),
    over_others    integer not null check (over_others in (0, 1)),
    payload        blob not null,
    payload_sha256 blob not null check (length(payload_sha256) = 32),
    need           integer not null check (need >= 1),
    state          text not null check (state in ('waiting', 'signed', 'refused', 'expired')),
    signed         blob,
    claimed_until  integer,
    created        integer not null,
    expires        integer not null,
    check ((state = 'signed') = (signed is not null))
) strict;

create unique index tag_request_waiting on tag_request (authority, tag, seen, payload_sha256) where state = 'waiting';

create table tag_request_voice (
    request   text not null references tag_request (id),
    principal text not null,
    approves  integer not null check (approves in (0, 1)),
    voiced    integer not null,
    primary key (request, principal)
) strict;

create table authority_bundle (
    id       integer primary key check (id = 1),
    version  integer not null check (version >= 1),
    document text not null,
    content  blob not null check (length(content) = 32),
    issued   integer not null,
    expires  integer not null,
    root     text
) strict;

-- When the signing log recorded that a key signed something: derived from the log, to judge signatures of
-- keys that were revoked for a part of their time.
create table recorded_signature (
    key_id   text not null,
    to_sign  blob not null check (length(to_sign) = 32),
    first_at integer not null,
    last_at  integer not null,
    primary key (key_id, to_sign)
) strict;

create table recorded_until (
    origin text primary key,
    size   integer not null check (size >= 0)
) strict;
