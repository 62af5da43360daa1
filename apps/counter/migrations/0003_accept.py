from django.db import migrations

# Plans are kept, and what they are made by is wrong: the statistics of the inbox are mostly of a
# moment when it was empty, and then any way to a row looks as good as any other, be it past a
# million. So the planner is left no choice. What is asked for comes first (LATERAL and LIMIT), and
# a key is looked up as the first at or behind it in the order of counters and keys, which only
# the index of keys has, and the planner may not sort.

# A statement in a function sees all that was committed until it began, as it would on its own
# (only so in a function that is VOLATILE, as this is, and with READ COMMITTED).
#
# The first puts the increments into the inbox.
#
# - A counter's row and its owner's are locked in the weakest way that holds off a purge. Where a
#   purge is at work already its lock is stronger: what it removes is passed over, not waited for.
# - Positions are drawn in the order of asking, but rows are written in the order of their keys:
#   two transactions with the same keys would otherwise wait for each other. Of those with one
#   key the first is written.
# - A key that another transaction is just writing or moving is waited for, as long as `patience`
#   says.
#
# The second looks whether the ledger has their keys, and the third takes those out again. They
# have to come behind the first: a key that it found free may just have left the inbox for the
# ledger.
ACCEPT = """
CREATE FUNCTION counter_accept(
    patience text,
    ids uuid[], counter_ids uuid[], slots int[], viewer_ids uuid[], keys text[], amounts int[],
    OUT accepted_at timestamptz, OUT known uuid[]
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_sort = off SET enable_incremental_sort = off
AS $$
DECLARE
    put_positions bigint[];
    put_ids uuid[];
    put_counter_ids uuid[];
    put_keys text[];
    settled_positions bigint[];
    settled_ids uuid[];
BEGIN
    PERFORM set_config('lock_timeout', patience, true);

    WITH asked AS MATERIALIZED (
        SELECT nextval('counter_pending_position_seq') AS position, asked.*
        FROM unnest(ids, counter_ids, slots, viewer_ids, keys, amounts)
             AS asked (id, counter_id, slot, viewer_id, key, amount)
    ), admitted AS MATERIALIZED (
        SELECT asker.counter_id, asker.viewer_id
        FROM (SELECT DISTINCT counter_id, viewer_id FROM asked) AS asker
        CROSS JOIN LATERAL (
            SELECT
            FROM counter_counter AS counter JOIN counter_owner AS owner ON owner.id = owner_id
            WHERE counter.id = asker.counter_id
              AND counter.deleted_at IS NULL AND owner.tombstoned_at IS NULL
              AND (asker.viewer_id IS NULL OR asker.viewer_id = owner_id)  -- NULL: staff
            LIMIT 1
            FOR KEY SHARE OF counter, owner SKIP LOCKED
        ) AS theirs
    ), put AS (
        INSERT INTO counter_pending (position, id, counter_id, slot, key, amount)
        SELECT position, id, counter_id, slot, key, amount
        FROM asked JOIN admitted USING (counter_id)
        WHERE admitted.viewer_id IS NOT DISTINCT FROM asked.viewer_id
        ORDER BY counter_id, key, position
        ON CONFLICT (counter_id, key) DO NOTHING
        RETURNING position, id, counter_id, key
    )
    SELECT array_agg(position), array_agg(id), array_agg(counter_id), array_agg(key)
    INTO put_positions, put_ids, put_counter_ids, put_keys
    FROM put;

    SELECT array_agg(put.position), array_agg(put.id)
    INTO settled_positions, settled_ids
    FROM unnest(put_positions, put_ids, put_counter_ids, put_keys)
         AS put (position, id, counter_id, key)
    CROSS JOIN LATERAL (
        SELECT entry.counter_id, entry.key
        FROM counter_entry AS entry
        WHERE (entry.counter_id, entry.key) >= (put.counter_id, put.key)
        ORDER BY entry.counter_id, entry.key
        LIMIT 1
    ) AS nearest
    WHERE (nearest.counter_id, nearest.key) = (put.counter_id, put.key);

    DELETE FROM counter_pending WHERE position = ANY (settled_positions);

    accepted_at := statement_timestamp();  -- of the call, as in the rows
    known := ARRAY(
        SELECT unnest(ids)
        EXCEPT (SELECT unnest(put_ids) EXCEPT SELECT unnest(settled_ids))
    );
END $$
"""

# Inbox and ledger in one look, so that what moves meanwhile is found in one of them.
FIND = """
CREATE FUNCTION counter_find(counter_ids uuid[], keys text[]) RETURNS SETOF counter_increment
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_sort = off SET enable_incremental_sort = off
AS $$
BEGIN
    RETURN QUERY
    SELECT found.*
    FROM unnest(counter_ids, keys) AS asked (counter_id, key)
    CROSS JOIN LATERAL (
        (
            SELECT pending.id, pending.counter_id, pending.key, pending.amount,
                   pending.accepted_at, NULL::bigint AS place, NULL::bigint AS result,
                   NULL::timestamptz AS settled_at
            FROM counter_pending AS pending
            WHERE (pending.counter_id, pending.key) >= (asked.counter_id, asked.key)
            ORDER BY pending.counter_id, pending.key
            LIMIT 1
        ) UNION ALL (
            SELECT entry.id, entry.counter_id, entry.key, entry.amount,
                   entry.accepted_at, entry.place, entry.result, entry.settled_at
            FROM counter_entry AS entry
            WHERE (entry.counter_id, entry.key) >= (asked.counter_id, asked.key)
            ORDER BY entry.counter_id, entry.key
            LIMIT 1
        )
    ) AS found
    WHERE (found.counter_id, found.key) = (asked.counter_id, asked.key);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("counter", "0002_inbox_and_ledger")]

    operations = [
        migrations.RunSQL(ACCEPT, "DROP FUNCTION counter_accept"),
        migrations.RunSQL(FIND, "DROP FUNCTION counter_find"),
    ]
