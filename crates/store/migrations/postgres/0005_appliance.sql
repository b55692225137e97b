-- What the appliance keeps beside its keys: certificates, frozen lists and their signed updates, OpenPGP keys,
-- RSA keys, trees. The same tables in the same order as in ../sqlite.

create table appliance_certificate (
    id          text collate "C" primary key,
    signing_key text collate "C" not null references signing_key (name),
    der         bytea not null,
    owner       bytea not null check (length(owner) = 16),
    created     bigint not null
);

-- A list of certificates as it was first used for a variable: frozen.
create table appliance_list (
    list     text collate "C" not null,
    variable text collate "C" not null check (variable in ('PK', 'KEK', 'db', 'dbx')),
    esl      bytea not null,
    auth     bytea not null,
    created  bigint not null,
    primary key (list, variable)
);

create table appliance_openpgp (
    fingerprint text collate "C" primary key check (length(fingerprint) = 40),
    signing_key text collate "C" not null references signing_key (name),
    public_key  bytea not null,
    created     bigint not null
);

create table appliance_rsa (
    id          text collate "C" primary key,
    signing_key text collate "C" not null references signing_key (name),
    created     bigint not null
);

create table appliance_tree (
    id        text collate "C" primary key,
    kind      text collate "C" not null check (kind in ('hab', 'ahab')),
    srk_table bytea not null,
    fuses     bytea not null,
    created   bigint not null
);

create table appliance_tree_member (
    tree        text collate "C" not null references appliance_tree (id),
    name        text collate "C" not null,
    signing_key text collate "C" references signing_key (name),
    der         bytea not null,
    primary key (tree, name)
);
