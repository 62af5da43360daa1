"""The alternatives behind the same web server: same authentication, permission and answers."""

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.users import public as users
from bench.web import storage
from bench.web.task_each import count_one
from kit.api.signing_in import SignsInLater
from kit.directory import Bearer, Viewer
from kit.group_commit import GroupCommit


def _look_up(bearers: list[Bearer]) -> list[Viewer | None]:
    known = users.viewers_of(set(bearers))
    return [known.get(bearer) for bearer in bearers]


_look_ups = GroupCommit(_look_up)


class Nothing(APIView):
    """(e) The limit: what the stack around every other view costs."""

    def get(self, request: Request) -> Response:
        return Response({})

    def post(self, request: Request) -> Response:
        return Response({}, status=202)


class NothingSignedInTogether(SignsInLater):
    """(e) again, with what epis' increments have: tokens that come together are one look-up."""

    def may_sign_in_later(self, request: Request) -> bool:
        return True

    def post(self, request: Request) -> Response:
        if self.bearer is None or _look_ups.submit(self.bearer) is None:
            raise AuthenticationFailed
        return Response({}, status=202)


class HotRow(APIView):
    """(a) Everybody updates the one row."""

    def post(self, request: Request) -> Response:
        return Response({"value": storage.add_one(storage.HOT)})


class KeyedHotRow(APIView):
    """(b) The same, harmless to repeat."""

    def post(self, request: Request) -> Response:
        return Response({"value": storage.add_one_once(request.headers["Idempotency-Key"])})


class KeyedHotRowAtOnce(APIView):
    """(b) again, as one statement."""

    def post(self, request: Request) -> Response:
        return Response({"value": storage.add_one_once_at_once(request.headers["Idempotency-Key"])})


class TaskEach(APIView):
    """(c) A Celery task for each increment, for a single consumer to apply."""

    def post(self, request: Request) -> Response:
        count_one.apply_async()
        return Response({}, status=202)


class RedisIncrement(APIView):
    """(d) A number in memory."""

    def post(self, request: Request) -> Response:
        return Response({"value": storage.add_one_in_redis()})
