-- What the appliance keeps beside its keys: certificates, frozen lists and their signed updates, OpenPGP keys,
-- RSA keys, trees. The same tables in the same order as in ../postgres.

create table appliance_certificate (
    id          text primary key,
    signing_key text not null references signing_key (name),
    der         blob not null,
    owner       blob not null check (length(owner) = 16),
    created     integer not null
) strict;

-- A list of certificates as it was first used for a variable: frozen.
create table appliance_list (
    list     text not null,
    variable text not null check (variable in ('PK', 'KEK', 'db', 'dbx')),
    esl      blob not null,
    auth     blob not null,
    created  integer not null,
    primary key (list, variable)
) strict;

create table appliance_openpgp (
    fingerprint text primary key check (length(fingerprint) = 40),
    signing_key text not null references signing_key (name),
    public_key  blob not null,
    created     integer not null
) strict;

create table appliance_rsa (
    id          text primary key,
    signing_key text not null references signing_key (name),
    created     integer not null
) strict;

create table appliance_tree (
    id        text primary key,
    kind      text not null check (kind in ('hab', 'ahab')),
    srk_table blob not null,
    fuses     blob not null,
    created   integer not null
) strict;

create table appliance_tree_member (
    tree        text not null references appliance_tree (id),
    name        text not null,
    signing_key text references signing_key (name),
    der         blob not null,
    primary key (tree, name)
) strict;
