-- What is known of two lists that held the same, so that only what was written since is compared. The same table in
-- ../postgres.

-- Grows when an object is written with a timestamp that is not above `last_modified`, and when one goes without a
-- tombstone: as long as it stays, what was written has a timestamp above the `last_modified` of then. Where it begins
-- means nothing.
alter table collection_list add column disorder integer not null default 0;

-- The living objects of `one` and `other`, the smaller number first, had the same contents when the lists stood at these
-- values.
create table collection_equal (
    one            integer not null references collection_list (list),
    other          integer not null references collection_list (list),
    one_last       integer not null,
    one_disorder   integer not null,
    other_last     integer not null,
    other_disorder integer not null,
    primary key (one, other),
    check (one < other)
) strict, without rowid;
