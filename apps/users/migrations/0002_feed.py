"""The feed is written by the database, so that no change of an account can miss it.

The position is allotted under the lock of the one row of `users_feedhead`, held until the
change commits: positions become visible in their own order, without gaps. A sequence
would not do: a later number can commit before an earlier one, and a reader who has moved
past it would never see it.
"""

from django.db import migrations

APPEND = """
CREATE FUNCTION users_append_to_feed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END;
    allotted bigint;
BEGIN
    INSERT INTO users_feedhead AS head (id, position) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET position = head.position + 1
    RETURNING position INTO allotted;
    INSERT INTO users_userchange (position, user_id) VALUES (allotted, changed);
    RETURN NULL;
END
$$;

CREATE TRIGGER users_feed_of_comings_and_goings
AFTER INSERT OR DELETE ON users_user
FOR EACH ROW EXECUTE FUNCTION users_append_to_feed();

CREATE TRIGGER users_feed_of_changes
AFTER UPDATE ON users_user
FOR EACH ROW
WHEN ((OLD.username, OLD.is_active, OLD.closed_at)
      IS DISTINCT FROM (NEW.username, NEW.is_active, NEW.closed_at))
EXECUTE FUNCTION users_append_to_feed();
"""

REMOVE = """
DROP TRIGGER users_feed_of_changes ON users_user;
DROP TRIGGER users_feed_of_comings_and_goings ON users_user;
DROP FUNCTION users_append_to_feed();
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]

    operations = [migrations.RunSQL(APPEND, REMOVE)]
