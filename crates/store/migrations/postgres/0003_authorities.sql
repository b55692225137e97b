-- Who vouches for tags, with which keys over time; requests that wait for more voices; the signed bundle
-- for offline use. The same tables in the same order as in ../sqlite.

create table authority (
    name       text collate "C" primary key,
    threshold  bigint not null check (threshold >= 1),
    principals text collate "C",
    created    bigint not null,
    updated    bigint not null
);

create table authority_key (
    authority      text collate "C" not null references authority (name),
    number         bigint not null check (number >= 1),
    id             text collate "C" not null,
    spki           bytea not null,
    signing_key    text collate "C" references signing_key (name),
    detached       bigint not null check (detached in (0, 1)),
    not_before     bigint not null,
    not_after      bigint,
    revoked_at     bigint,
    revoked_from   bigint,
    revoked_until  bigint,
    revoked_reason text collate "C",
    primary key (authority, number),
    unique (authority, id),
    check ((revoked_at is null) = (revoked_reason is null)),
    check (revoked_from is null or revoked_at is not null),
    check (revoked_until is null or revoked_from is not null)
);

-- `seen` is the version of the tag that was current when it was asked for, 0 without one; the payload of what
-- ended without a signature is empty.
create table tag_request (
    id             text collate "C" primary key,
    authority      text collate "C" not null references authority (name),
    tag            text collate "C" not null,
    seen           bigint not null check (seen >= 0),
    over_others    bigint not null check (over_others in (0, 1)),
    payload        bytea not null,
    payload_sha256 bytea not null check (length(payload_sha256) = 32),
    need           bigint not null check (need >= 1),
    state          text collate "C" not null check (state in ('waiting', 'signed', 'refused', 'expired')),
    signed         bytea,
    claimed_until  bigint,
    created        bigint not null,
    expires        bigint not null,
    check ((state = 'signed') = (signed is not null))
);

create unique index tag_request_waiting on tag_request (authority, tag, seen, payload_sha256) where state = 'waiting';

create table tag_request_voice (
    request   text collate "C" not null references tag_request (id),
    principal text collate "C" not null,
    approves  bigint not null check (approves in (0, 1)),
    voiced    bigint not null,
    primary key (request, principal)
);

create table authority_bundle (
    id       bigint primary key check (id = 1),
    version  bigint not null check (version >= 1),
    document text collate "C" not null,
    content  bytea not null check (length(content) = 32),
    issued   bigint not null,
    expires  bigint not null,
    root     text collate "C"
);

-- When the signing log recorded that a key signed something: derived from the log, to judge signatures of
-- keys that were revoked for a part of their time.
create table recorded_signature (
    key_id   text collate "C" not null,
    to_sign  bytea not null check (length(to_sign) = 32),
    first_at bigint not null,
    last_at  bigint not null,
    primary key (key_id, to_sign)
);

create table recorded_until (
    origin text collate "C" primary key,
    size   bigint not null check (size >= 0)
);
