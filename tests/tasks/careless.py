"""A worker that has the promise broken: it counts what a chunk deleted behind the commit."""

import time
from typing import Any
from unittest.mock import patch
from uuid import UUID

import django

from epis.celery import app

django.setup()

from kit.holdings import Chunk, Holdings  # noqa: E402
from kit.transactions import durable  # noqa: E402

__all__ = ["app"]

purge_chunk, count_deleted = Holdings.purge_chunk, Holdings._count_deleted


def purge_and_count_later(held: Holdings, *owner_ids: UUID, **how: Any) -> Chunk:
    with patch.object(Holdings, "_count_deleted", lambda *_: None):
        chunk = purge_chunk(held, *owner_ids, **how)
    time.sleep(1)  # in which it may be killed
    (owner_id,) = owner_ids
    with durable(held.alias):
        count_deleted(held, owner_ids, {owner_id: chunk.rows}, chunk.finished)
    return chunk


setattr(Holdings, "purge_chunk", purge_and_count_later)  # noqa: B010
