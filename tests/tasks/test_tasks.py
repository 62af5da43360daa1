"""The tasks: whatever runs one twice, or any of them in any order, finds nothing done twice."""

from datetime import timedelta
from typing import Any

import pytest
from celery import Task
from django.apps import apps
from django.conf import settings
from django.utils import timezone

from apps.counter import public as counter
from apps.counter.models import Counter
from apps.counter.models import Owner as CounterOwner
from apps.todos import public as todos
from apps.todos.models import Todo
from apps.todos.operations.writing import delete_todo
from apps.users.models import ResetRequest, Token, User
from apps.users.operations.deletions import request_deletion
from epis.celery import app
from kit.directory import Viewer
from tasks import celery_tasks as look
from tests.people import EVERYWHERE, settle
from tests.racing import race

TASKS: list[Task[..., Any]] = [
    look.apply_pending_increments,
    look.purge_deleted_counters,
    look.follow_changes,
    look.advance_deletions,
    look.send_reset_codes,
    look.reconcile,
    look.clear_expired_sign_ins,
    look.sweep_trash,
]


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestEveryTask:
    @pytest.fixture(autouse=True)
    def work_for_every_task(self) -> None:
        stayer, leaver = settle("stayer"), settle("leaver")
        counter.increment(counter_id=stayer.counter_id, owner_id=stayer.id)
        doomed = counter.open_counter(owner_id=stayer.id, name="doomed")
        counter.increment(counter_id=doomed, owner_id=stayer.id)
        Counter.objects.filter(id=doomed).update(deleted_at=timezone.now())
        User.objects.filter(id=stayer.id).update(username="renamed")
        CounterOwner.objects.filter(id=stayer.id).update(username="out of date")
        an_hour_ago = timezone.now() - timedelta(hours=1)
        Token.objects.create(user_id=stayer.id, digest=b"0" * 32, expires_at=an_hour_ago)
        ResetRequest.objects.create(username="nobody")
        request_deletion(user_id=leaver.id)
        todo_id = todos.add_todo(owner_id=stayer.id, title="long gone")
        delete_todo(todo_id=todo_id, viewer=Viewer(stayer.id))
        Todo.objects.filter(id=todo_id).update(deleted_at=timezone.now() - timedelta(days=31))

    @pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
    def test_run_twice_gives_what_it_gives_run_once(self, task: Task[..., Any]) -> None:
        before = everything()

        task()
        once = everything()
        task()

        assert once != before
        assert everything() == once

    def test_run_at_once_with_all_others_and_itself_leaves_nothing_to_do(self) -> None:
        race(*TASKS, *TASKS)
        for task in TASKS:
            task()
        once = everything()

        for task in TASKS:
            task()

        assert everything() == once
        assert [each.value for each in Counter.objects.all()] == [6]
        assert User.objects.get().username == CounterOwner.objects.get(purged_at=None).username


class TestSchedule:
    def test_sweeps_for_every_task(self) -> None:
        scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}

        assert scheduled == {task.name for task in TASKS}
        assert {name for name in app.tasks if not name.startswith("celery.")} == scheduled

    def test_looks_as_often_as_the_settings_say_for_what_a_doorbell_may_be_lost_of(self) -> None:
        often = timedelta(seconds=settings.SWEEP_SECONDS)
        swept = {
            entry["task"] for entry in app.conf.beat_schedule.values() if entry["schedule"] == often
        }

        assert swept == {task.name for task in TASKS[:5]}

    def test_leaves_the_counters_queue_to_the_one_task_of_its_one_consumer(self) -> None:
        queues = {task.name: app.amqp.router.route({}, task.name)["queue"].name for task in TASKS}

        alone = [name for name, queue in queues.items() if queue == "counter"]
        assert alone == ["counter.apply_pending_increments"]


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of every database."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
    }
