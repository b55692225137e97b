-- Tags: what is signed under a name, in versions. A version's payload never changes; signatures are added to
-- it. The same tables in the same order as in ../postgres.

-- `version` is the current one. Who writes to a tag locks its row until the transaction ends.
create table tag (
    name      text primary key,
    version   integer not null check (version >= 1),
    created   integer not null,
    hidden_at integer,
    hidden_by text,
    check ((hidden_at is null) = (hidden_by is null))
) strict;

-- `digest` is that of the artifact, where the payload is a head; `authorities` those of its signatures.
create table tag_version (
    name           text not null references tag (name),
    version        integer not null check (version >= 1),
    payload        blob not null,
    payload_sha256 blob not null check (length(payload_sha256) = 32),
    digest         text,
    authorities    text not null,
    created        integer not null,
    primary key (name, version)
) strict;

create index tag_version_by_digest on tag_version (digest, name, version) where digest is not null;

-- `block` is what stands below the header line: lines of base64.
create table tag_signature (
    name      text not null,
    version   integer not null,
    authority text not null,
    key_id    text not null,
    block     blob not null,
    recorded  integer not null,
    primary key (name, version, authority),
    foreign key (name, version) references tag_version (name, version)
) strict;
