-- Certificate chains of the keys that sign content. Same tables as in ../postgres.

-- The two authorities above the leaves. `certificate` is PEM.
create table content_authority (
    role        text primary key check (role in ('root', 'intermediate')),
    key         text   not null,
    certificate text   not null,
    not_after   integer not null
) strict;

-- Every chain that was ever published, by the SHA-256 of its PEM text: readers may still ask for it. One for each
-- key is named by new signatures. `not_after` is the leaf's.
create table content_chain (
    sha256    text primary key,
    key       text   not null,
    pem       text   not null,
    not_after integer not null,
    made      integer not null,
    current   integer not null check (current in (0, 1))
) strict;

create unique index content_chain_current on content_chain (key) where current = 1;
