-- Tags: what is signed under a name, in versions. A version's payload never changes; signatures are added to
-- it. The same tables in the same order as in ../sqlite.

-- `version` is the current one. Who writes to a tag locks its row until the transaction ends.
create table tag (
    name      text collate "C" primary key,
    version   bigint not null check (version >= 1),
    created   bigint not null,
    hidden_at bigint,
    hidden_by text collate "C",
    check ((hidden_at is null) = (hidden_by is null))
);

-- `digest` is that of the artifact, where the payload is a head; `authorities` those of its signatures.
create table tag_version (
    name           text collate "C" not null references tag (name),
    version        bigint not null check (version >= 1),
    payload        bytea not null,
    payload_sha256 bytea not null check (length(payload_sha256) = 32),
    digest         text collate "C",
    authorities    text collate "C" not null,
    created        bigint not null,
    primary key (name, version)
);

create index tag_version_by_digest on tag_version (digest, name, version) where digest is not null;

-- `block` is what stands below the header line: lines of base64.
create table tag_signature (
    name      text collate "C" not null,
    version   bigint not null,
    authority text collate "C" not null,
    key_id    text collate "C" not null,
    block     bytea not null,
    recorded  bigint not null,
    primary key (name, version, authority),
    foreign key (name, version) references tag_version (name, version)
);
