"""A search looks up who may see a todo with the parts of its words.

The index is built anew, while which todos cannot be written: some minutes for a million.
"""

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models

# With a blank, which no part of a word begins with: who may see what has this lexeme. An owner's
# id, or `public`.
SEEN_BY = """
CREATE FUNCTION todos_seen_by(who text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (''' ' || who || '''')::tsquery
"""

# Of a function with such a body the functions that it calls are known by more than their names,
# so they are found where an index is built.
FOUND_BY = """
CREATE FUNCTION todos_found_by(owner_id uuid, visibility text, title text, content text)
RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN todos_parts(title, content) || array_to_tsvector(
    CASE visibility
        WHEN 'public' THEN ARRAY[' ' || owner_id::text, ' public']
        ELSE ARRAY[' ' || owner_id::text]
    END
)
"""

# For LIKE: each of the words, folded, with anything around it.
PATTERNS = r"""
CREATE FUNCTION todos_patterns(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $$
    SELECT array_agg('%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%')
    FROM regexp_split_to_table(todos_fold(words), '\s+') AS word
    WHERE word <> ''
$$
"""

# True. Known when a statement is planned for these tags; in a plan for any it would seem to cost
# so much that none is kept. Such a plan takes every tag for a rare one.
PLANNED_FOR = """
CREATE FUNCTION todos_planned_for(tags varchar[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000000
AS $$ BEGIN RETURN true; END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("todos", "0002_history"),
    ]

    operations = [
        migrations.RunSQL(SEEN_BY, "DROP FUNCTION todos_seen_by(text)"),
        migrations.RunSQL(FOUND_BY, "DROP FUNCTION todos_found_by(uuid, text, text, text)"),
        migrations.RunSQL(PATTERNS, "DROP FUNCTION todos_patterns(text)"),
        migrations.RunSQL(PLANNED_FOR, "DROP FUNCTION todos_planned_for(varchar[])"),
        migrations.RemoveIndex(model_name="todo", name="todos_parts"),
        migrations.AddIndex(
            model_name="todo",
            index=GinIndex(
                models.Func(
                    "owner_id", "visibility", "title", "content", function="todos_found_by"
                ),
                fastupdate=False,
                name="todos_found_by",
            ),
        ),
    ]
