"""(b) Django's own cascade: `user.delete()` on an ordinary foreign key, in a process of its own.

Run as a program: it deletes the one person there is, and tells in how many seconds, and how
much memory that took. Something listens for todos that are deleted, as the index of a search
engine does, or an audit log: so Django collects them. Where nobody listens and nothing points to
them it sends a single DELETE, which is (a).
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from bench import accounts
from bench.errors import CannotMeasure
from bench.instance import Instance
from bench.waiting import wait_until
from epis.embedded.locations import Locations

MOST_SECONDS = 1_800

CREATE = """
CREATE TABLE bench_person (id uuid PRIMARY KEY);
CREATE TABLE bench_todo (LIKE todos_todo INCLUDING ALL);
ALTER TABLE bench_todo ADD FOREIGN KEY (owner_id) REFERENCES bench_person
    DEFERRABLE INITIALLY DEFERRED;
"""


def measure(epis: Instance, todos: int) -> dict[str, float]:
    """Delete a person with so many todos. Memory is what the process had at most, in bytes."""
    database = epis.connection("todos")
    database.execute(CREATE)
    row = database.execute("INSERT INTO bench_person VALUES (uuidv7()) RETURNING id").fetchone()
    accounts.fill(database, "bench_todo", list(row or ()), todos)
    name = f"cascade-{time.monotonic_ns()}"
    process = epis.start(name, "-m", "bench.cascade")
    wait_until("Django's cascade", lambda: process.poll() is not None, seconds=MOST_SECONDS)
    left = database.execute("SELECT count(*) FROM bench_todo").fetchone()
    if process.returncode != 0 or left != (0,):
        raise CannotMeasure(f"Django's cascade failed: {epis.said(name).strip()[-500:]}")
    # Or a vacuum would go over them beside whatever comes next.
    database.execute("DROP TABLE bench_todo, bench_person")
    figures: dict[str, float] = json.loads(epis.said(name))
    return figures


def _configure(database: dict[str, Any]) -> None:
    address = {name: database[name] for name in ("NAME", "HOST", "PORT", "USER")}
    settings.configure(
        DATABASES={"default": {**address, "ENGINE": "django.db.backends.postgresql"}},
        INSTALLED_APPS=["bench"],
        USE_TZ=True,
    )
    django.setup()


def _delete_the_person() -> dict[str, float]:
    from django.contrib.postgres.fields import ArrayField
    from django.db import models

    class Person(models.Model):
        id = models.UUIDField(primary_key=True)

        class Meta:
            app_label = "bench"
            db_table = "bench_person"

        def __str__(self) -> str:
            return str(self.id)

    class Todo(models.Model):
        id = models.UUIDField(primary_key=True)
        owner = models.ForeignKey(Person, on_delete=models.CASCADE)
        title = models.CharField(max_length=200)
        content = models.TextField()
        category = models.CharField(max_length=64)
        tags = ArrayField(models.CharField(max_length=50))
        due_at = models.DateTimeField(null=True)
        completed_at = models.DateTimeField(null=True)
        visibility = models.CharField(max_length=7)
        created_at = models.DateTimeField()
        updated_at = models.DateTimeField()
        version = models.PositiveIntegerField()

        class Meta:
            app_label = "bench"
            db_table = "bench_todo"

        def __str__(self) -> str:
            return self.title

    def listen(**_: Any) -> None:
        """As an index of a search engine would."""

    models.signals.post_delete.connect(listen, sender=Todo)
    person = Person._default_manager.get()
    began = time.monotonic()
    person.delete()
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "memory": memory}


if __name__ == "__main__":
    _configure(Locations(Path(os.environ["EPIS_DATA"])).database("todos"))
    sys.stdout.write(json.dumps(_delete_the_person()))
