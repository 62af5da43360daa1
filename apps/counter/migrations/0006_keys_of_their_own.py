"""Keys get a table of their own: each is in it from its acceptance on, for ever, with whose it is.

Before, inbox and ledger held the keys of what lay in them, each in an index. What was accepted was
looked for in the one, put into the other, and with the increment the key was moved, which took the
single consumer to a random page of a long index for each.
"""

from django.db import migrations, models

# The consumer waits for its own lock, before it has locked anything else: increments are accepted
# meanwhile, and not applied. An index that is built of rows in its order is built in one go.
LEDGER = """
SELECT pg_advisory_xact_lock(1701865843, slot) FROM generate_series(0, 63) AS slot;
LOCK TABLE counter_entry IN SHARE MODE;
CREATE TABLE counter_key (digest bytea NOT NULL, increment_id uuid NOT NULL);
INSERT INTO counter_key
SELECT counter_key_digest(counter_id, key) AS digest, id FROM counter_entry ORDER BY digest;
ALTER TABLE counter_key ADD PRIMARY KEY (digest)
"""

# From here on nothing is accepted either. A key that lies in both is refused, and with it all of
# this: one of its increments would be counted a second time.
INBOX = """
LOCK TABLE counter_pending IN ACCESS EXCLUSIVE MODE;
INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM counter_pending
"""

# Statistics may be of a moment when a table was empty, and then any way to a row looks as good as
# any other, be it past a million. So the planner may not choose: what is asked for comes first
# (LATERAL and LIMIT), and each is looked up by an index.
#
# - A counter's row and its owner's are locked in the weakest way that holds off a purge. Where a
#   purge is at work already its lock is stronger: what it removes is passed over, not waited for.
# - Positions are drawn in the order of asking, but keys are written in the order of their digests:
#   two transactions with the same keys would otherwise wait for each other. Of those with one
#   key the first is written.
# - A key that another transaction is just writing is waited for, as long as `patience` says. One
#   that is written already is known, wherever its increment is.
# - NOT IN looks into a hash. A join would be a nested loop here, and slow for ten thousand.
ACCEPT = """
CREATE OR REPLACE FUNCTION counter_accept(
    patience text,
    ids uuid[], counter_ids uuid[], slots int[], viewer_ids uuid[], keys text[], amounts int[],
    OUT accepted_at timestamptz, OUT known uuid[]
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM set_config('lock_timeout', patience, true);

    WITH asked AS MATERIALIZED (
        SELECT nextval('counter_pending_position_seq') AS position,
               counter_key_digest(asked.counter_id, asked.key) AS digest, asked.*
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
    ), taken AS (
        INSERT INTO counter_key (digest, increment_id)
        SELECT digest, id
        FROM asked JOIN admitted USING (counter_id)
        WHERE admitted.viewer_id IS NOT DISTINCT FROM asked.viewer_id
        ORDER BY digest, position
        ON CONFLICT (digest) DO NOTHING
        RETURNING increment_id
    ), other AS (
        SELECT id FROM asked EXCEPT SELECT increment_id FROM taken
    ), put AS (
        INSERT INTO counter_pending (position, id, counter_id, slot, key, amount)
        SELECT position, id, counter_id, slot, key, amount
        FROM asked
        WHERE id NOT IN (SELECT id FROM other)
    )
    SELECT statement_timestamp(), ARRAY(SELECT id FROM other)  -- of the call, as in the rows
    INTO accepted_at, known;
END $$
"""

# All in one look, so that what moves meanwhile is found in the inbox or in the ledger.
FIND = """
CREATE OR REPLACE FUNCTION counter_find(counter_ids uuid[], keys text[])
RETURNS SETOF counter_increment
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT increment.*
    FROM unnest(counter_ids, keys) AS asked (counter_id, key)
    CROSS JOIN LATERAL (
        SELECT increment_id FROM counter_key
        WHERE digest = counter_key_digest(asked.counter_id, asked.key)
        LIMIT 1
    ) AS known
    CROSS JOIN LATERAL (
        SELECT * FROM counter_increment
        WHERE counter_id = asked.counter_id AND id = known.increment_id AND key = asked.key
        LIMIT 1
    ) AS increment;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("counter", "0005_bounded_lookups")]

    operations = [
        migrations.RunSQL(
            LEDGER,
            state_operations=[
                migrations.CreateModel(
                    name="Key",
                    fields=[
                        ("digest", models.BinaryField(primary_key=True, serialize=False)),
                        ("increment_id", models.UUIDField()),
                    ],
                )
            ],
        ),
        migrations.RunSQL(INBOX),
        migrations.RunSQL(ACCEPT),
        migrations.RunSQL(FIND),
        # How much is pending of a counter is answered by its ids now.
        migrations.RemoveConstraint(model_name="pending", name="counter_pending_id"),
        migrations.AddConstraint(
            model_name="pending",
            constraint=models.UniqueConstraint(
                fields=("counter", "id"), include=("amount",), name="counter_pending_id"
            ),
        ),
        migrations.RemoveConstraint(model_name="pending", name="counter_pending_key_once"),
        migrations.RemoveConstraint(model_name="entry", name="counter_key_once"),
    ]
