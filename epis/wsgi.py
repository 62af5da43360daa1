"""The WSGI callable that the web server runs."""

import gc
import os
import re
import threading
import time
from collections.abc import Iterable
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.urls import get_resolver

from epis.api import CROWDED, CUT_OFF
from epis.cores import take_core

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CHUNK_BYTES = 64 * 1024
PATIENCE_SECONDS = 0.5
STATEMENT_SECONDS = 30
# Of new objects, before they are looked through for circles. Python's own is a hundredth of it,
# and a request makes several hundred.
GARBAGE_THRESHOLD = 50_000
# `charset=…`, and `name*=charset'language'value` of RFC 2231. Each part is looked through once or
# twice: headers may be long, and all else waits.
CHOICE_OF_CODEC = re.compile(r";(?=[^;,=]*(?:charset|\*))[^;,=]*+=[^;,]*+", re.IGNORECASE)


def utf8_only(application: "WSGIApplication") -> "WSGIApplication":
    """`application`, for which all text is in UTF-8 whatever charset a header names.

    JSON has no other (RFC 8259, section 8.1). Django would decode the query string by
    the codec that Content-Type names, `rot13` if it says so, and fail where no
    middleware is there yet to answer for it.
    """

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for header in ("CONTENT_TYPE", "HTTP_ACCEPT"):
            if ";" in environ.get(header, ""):
                environ[header] = CHOICE_OF_CODEC.sub("", environ[header])
        return application(environ, start_response)

    return guarded


class Readers:
    """Has so many threads, at most, wait for bodies at a time.

    One that does not arrive keeps its thread until its sender goes: the web server has no limit
    for that. So some are left for whoever sends none.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._moved_at = time.monotonic()
        self._change = threading.Condition()

    def enter(self) -> bool:
        """False where all are taken. At once, if none has come or gone for a while."""
        with self._change:
            is_stuck = not self._free and time.monotonic() - self._moved_at > PATIENCE_SECONDS
            if is_stuck or not self._change.wait_for(lambda: self._free, PATIENCE_SECONDS):
                return False
            self._free -= 1
            self._moved_at = time.monotonic()
            return True

    def leave(self) -> None:
        with self._change:
            self._free += 1
            self._moved_at = time.monotonic()
            self._change.notify()


def whole_bodies(application: "WSGIApplication", places: int) -> "WSGIApplication":
    """`application`, which gets each body as a whole, with its length.

    Django takes a body without Content-Length (chunked, or HTTP/2) for none, and one whose sender
    died for all there is: either would be counted as something that nobody sent. What is cut off
    is marked, for `epis.api.edge` to refuse; so is what says that it is chunked and is empty,
    which may be chunks that cannot be read.

    A body that is too large is left unread, and refused by its length. Up to the same limit it is
    then read to its end: the web server would otherwise close the connection behind the answer,
    under the client's next request on it.

    So many threads wait for bodies, and as many again for large ones, which take their time:
    a few imports are not to keep anybody else from writing. Where there are more, none is read.
    """
    small, large = Readers(places), Readers(places)

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        length = environ.get("CONTENT_LENGTH", "")
        stream = environ["wsgi.input"]
        if _has_none(environ):
            environ["wsgi.input"] = BytesIO()
            return application(environ, start_response)
        is_large = length.isdecimal() and int(length) > most
        readers = large if is_large else small
        if not readers.enter():
            environ |= {CROWDED: True, "CONTENT_LENGTH": "0", "wsgi.input": BytesIO()}
            return application(environ, start_response)
        try:
            if is_large:
                answer = application(environ, start_response)
                _read(stream, most)
                return answer
            body = _read(stream, int(length) if length.isdecimal() else most + 1)
        finally:
            readers.leave()
        if length.isdecimal():
            environ[CUT_OFF] = len(body) < int(length)
        else:
            environ[CUT_OFF] = not body and "HTTP_TRANSFER_ENCODING" in environ
            environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = BytesIO(body)
        return application(environ, start_response)

    return guarded


def _has_none(environ: "WSGIEnvironment") -> bool:
    """Whether it is known without a look that there is no body, or none that means anything."""
    is_told = environ.get("CONTENT_LENGTH", "") not in ("", "0")
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and not (is_told or is_chunked)


def _read(stream: IO[bytes], most: int) -> bytes:
    """What there is to be read, up to so many bytes; less only where it ends."""
    chunks = []
    while most > 0 and (chunk := stream.read(min(most, CHUNK_BYTES))):
        chunks.append(chunk)
        most -= len(chunk)
    return b"".join(chunks)


class Opened:
    """What a thread has open, by database. It is closed when the thread ends.

    The web server ends threads that were idle for half a minute, and makes new ones. What Django
    has opened for them is in circles: it would stay open until the garbage is looked through, and
    behind a few pauses the database would let nobody in any more.

    A fork forgets the threads of its parent, whose sessions go on.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.by_alias: dict[str, Any] = {}

    def __del__(self) -> None:
        if self._pid == os.getpid():
            for opened in self.by_alias.values():
                opened.close()


_of_thread = threading.local()


def close_with_its_thread(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if not hasattr(_of_thread, "opened"):
        _of_thread.opened = Opened()
    _of_thread.opened.by_alias[connection.alias] = connection.connection


def limit_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """End what takes the database too long: a search through thousands of the longest texts would
    keep its thread for minutes. Not in workers and commands, where nobody waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false)", [f"{STATEMENT_SECONDS}s"]
        )


connection_created.connect(limit_statements)
connection_created.connect(close_with_its_thread)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "epis.settings")

# Half of the threads may wait for increments, too: see `apps.counter.api.waiting`.
application = whole_bodies(
    utf8_only(get_wsgi_application()), places=max(1, settings.WEB_THREADS // 4)
)


def web_process() -> "WSGIApplication":
    """`application`, in a process that is there for nothing else (granian's `--factory`)."""
    # What is loaded by now stays, so it is not looked through again and again: the routes and
    # views too, which Django would load with the first request.
    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    take_core(settings.WEB_WORKERS)
    return application
