"""A key is looked for where it would be, and nowhere behind that.

The nearest key that is not smaller is looked for, because that leaves the planner one index only.
But what others are settling at that moment stands in the index and cannot be seen: where little
could, as in a new ledger, each look-up walked over all of it, and of a thousand that came together
with a backlog none ended before the backlog did.
"""

from django.db import migrations

# As before (0004), but that look-ups have an upper bound. Not equality instead of both bounds: all
# that is equal is in any order, and the planner could take any index.
ACCEPT = """
CREATE OR REPLACE FUNCTION counter_accept(
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
        WHERE counter_key_digest(entry.counter_id, entry.key)
              >= counter_key_digest(put.counter_id, put.key)
          AND counter_key_digest(entry.counter_id, entry.key)
              <= counter_key_digest(put.counter_id, put.key)
        ORDER BY counter_key_digest(entry.counter_id, entry.key)
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

FIND = """
CREATE OR REPLACE FUNCTION counter_find(counter_ids uuid[], keys text[]) RETURNS SETOF counter_increment
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
              AND (pending.counter_id, pending.key) <= (asked.counter_id, asked.key)
            ORDER BY pending.counter_id, pending.key
            LIMIT 1
        ) UNION ALL (
            SELECT entry.id, entry.counter_id, entry.key, entry.amount,
                   entry.accepted_at, entry.place, entry.result, entry.settled_at
            FROM counter_entry AS entry
            WHERE counter_key_digest(entry.counter_id, entry.key)
                  >= counter_key_digest(asked.counter_id, asked.key)
              AND counter_key_digest(entry.counter_id, entry.key)
                  <= counter_key_digest(asked.counter_id, asked.key)
            ORDER BY counter_key_digest(entry.counter_id, entry.key)
            LIMIT 1
        )
    ) AS found
    WHERE (found.counter_id, found.key) = (asked.counter_id, asked.key);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("counter", "0004_key_digest")]

    operations = [migrations.RunSQL(ACCEPT), migrations.RunSQL(FIND)]
