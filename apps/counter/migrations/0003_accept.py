from django.db import migrations

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
# The second takes those out again whose key is in the ledger. It has to come behind the first:
# a key that this found free may just have left the inbox for the ledger.
#
# Plans are kept, and made while the tables may be young and their statistics say that reading all
# of them is quickest. So the planner is left no choice: what is asked for comes first (LATERAL and
# LIMIT), and each of it is looked up in an index.
ACCEPT = """
CREATE FUNCTION counter_accept(
    patience text,
    ids uuid[], counter_ids uuid[], slots int[], viewer_ids uuid[], keys text[], amounts int[],
    OUT accepted_at timestamptz, OUT known uuid[]
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    written bigint;
    settled uuid[];
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
        RETURNING id
    )
    SELECT count(*) INTO written FROM put;

    settled := ARRAY(
        SELECT asked.id
        FROM unnest(ids, counter_ids, keys) AS asked (id, counter_id, key)
        CROSS JOIN LATERAL (
            SELECT FROM counter_entry AS entry
            WHERE entry.counter_id = asked.counter_id AND entry.key = asked.key
            LIMIT 1
        ) AS in_ledger
    );
    IF settled <> '{}' THEN
        DELETE FROM counter_pending
        WHERE counter_id = ANY (counter_ids) AND id = ANY (settled);
    END IF;

    accepted_at := statement_timestamp();  -- of the call, as in the rows
    IF written < cardinality(ids) OR settled <> '{}' THEN
        known := ARRAY(
            SELECT asked.id
            FROM unnest(ids, counter_ids) AS asked (id, counter_id)
            WHERE NOT EXISTS (
                SELECT FROM counter_pending AS pending
                WHERE pending.counter_id = asked.counter_id AND pending.id = asked.id
            )
        );
    END IF;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("counter", "0002_inbox_and_ledger")]

    operations = [migrations.RunSQL(ACCEPT, "DROP FUNCTION counter_accept")]
