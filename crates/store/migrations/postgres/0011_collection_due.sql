-- Entries that a list is still to get, as JSON: of many objects that were written they are made later, when nobody
-- waits. Same table as in ../sqlite.
create table collection_due (
    due     bigint generated always as identity primary key,
    entries text collate "C" not null
);
