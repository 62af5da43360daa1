"""The name of whoever created a todo under an Idempotency-Key: its first answer has it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("todos", "0003_search_by_who_sees"),
    ]

    operations = [
        migrations.AddField(
            model_name="todo",
            name="created_as",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=150
            ),
        ),
    ]
