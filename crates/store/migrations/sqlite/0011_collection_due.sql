-- Entries that a list is still to get, as JSON: of many objects that were written they are made later, when nobody
-- waits. Same table as in ../postgres.
create table collection_due (
    due     integer primary key,
    entries text    not null
) strict;
