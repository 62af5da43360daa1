"""Signing in, users and deletions over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.users.addresses import address_of
from apps.users.api.filters import NameOrAddress
from apps.users.api.serializers import (
    CredentialsSerializer,
    DeletionSerializer,
    DetailSerializer,
    NewPasswordSerializer,
    NewTokenSerializer,
    PasswordChangeSerializer,
    RegistrationSerializer,
    ResetAvailableSerializer,
    ResetCodeSerializer,
    ResetRequestSerializer,
    TokenSerializer,
    UserSerializer,
)
from apps.users.errors import UserNotFound
from apps.users.models import Deletion, Token, User
from apps.users.operations.accounts import change_user, register_user
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    request_deletion,
    resume_deletion,
)
from apps.users.operations.passwords import (
    change_password,
    request_password_reset,
    reset_password,
)
from apps.users.operations.signing_in import (
    check_credentials,
    count_registration,
    issue_token,
    revoke_token,
)
from apps.users.queries import (
    find_latest_deletion,
    find_user_with_code,
    get_deletion,
    get_token,
    get_user,
    get_user_to_change,
    list_tokens,
    list_users,
)
from kit.api.viewers import viewer_of


class OldTokenDoesNoHarm(APIView):
    """For a view that lets anyone in: there, a token that is no longer good counts as none.

    So an expired token does not stand in the way of a new one, and whoever had his account
    deleted can watch it go while his client still sends the token that this revoked.
    """

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except AuthenticationFailed:
            if not any(isinstance(needed, AllowAny) for needed in self.get_permissions()):
                raise


class AnyoneMayCreate(OldTokenDoesNoHarm):
    def get_permissions(self) -> Any:
        is_new = getattr(self, "action", None) == "create"
        return [AllowAny()] if is_new else super().get_permissions()


@extend_schema(tags=["Signing in"])
@extend_schema_view(
    list=extend_schema(summary="Your tokens, without their secrets"),
    retrieve=extend_schema(summary="One of your tokens, without its secret"),
)
class TokenViewSet(
    AnyoneMayCreate, mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Token]
):
    """Your bearer tokens. A secret is shown once, when its token is made, and kept as a hash."""

    lookup_field = "id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Token]:
        return list_tokens(viewer_of(self.request).user_id)

    def get_object(self) -> Token:
        return get_token(self.kwargs["id"], viewer_of(self.request).user_id)

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return CredentialsSerializer if self.action == "create" else TokenSerializer

    @extend_schema(summary="Sign in", responses={201: NewTokenSerializer})
    def create(self, request: Request) -> Response:
        """Exchange a username and a password for a token.

        401 for wrong credentials, 429 after too many tries within a minute.
        """
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        credentials = given.validated_data
        user = check_credentials(
            request=request._request,
            username=credentials["username"],
            password=credentials["password"],
        )
        seconds = credentials.get("expires_in")
        token, secret = issue_token(
            user_id=user.id,
            name=credentials.get("name", ""),
            lifetime=timedelta(seconds=seconds) if seconds else None,
            password=user.password,
        )
        shown = {
            "id": token.id,
            "token": secret,
            "name": token.name,
            "expires_at": token.expires_at,
        }
        # A dict, so that the page of the browsable API does not take it for the form's content.
        return Response(dict(NewTokenSerializer(shown).data), status=status.HTTP_201_CREATED)

    @extend_schema(summary="Revoke a token")
    def destroy(self, request: Request, id: UUID) -> Response:
        """From then on it lets nobody in."""
        revoke_token(token_id=id, user_id=viewer_of(request).user_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordResetView(OldTokenDoesNoHarm):
    """For who has forgotten the password: a mail with a link, if the account has an address."""

    permission_classes = [AllowAny]

    @extend_schema(
        tags=["Signing in"],
        summary="Whether a password can be reset by mail",
        responses=ResetAvailableSerializer,
    )
    def get(self, request: Request) -> Response:
        """Nothing else is told."""
        return Response({"available": settings.MAIL_IS_SENT})

    @extend_schema(
        tags=["Signing in"],
        summary="Ask for a new password",
        request=ResetRequestSerializer,
        responses={202: DetailSerializer},
    )
    def post(self, request: Request) -> Response:
        """The same answer whether or not there is such an account. 404 where no mail is sent."""
        given = ResetRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        request_password_reset(address=address_of(request.META), **given.validated_data)
        told = "If there is such an account, and it has an address, a mail is on its way there."
        return Response({"detail": told}, status=status.HTTP_202_ACCEPTED)

    def get_serializer(self, **options: Any) -> ResetRequestSerializer:
        """For the form on the page."""
        return ResetRequestSerializer(**options)


class NewPasswordView(OldTokenDoesNoHarm):
    """Where the link in the mail leads."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_reset_code_retrieve",
        tags=["Signing in"],
        summary="Whether a code from a mail is good",
        responses=ResetCodeSerializer,
    )
    def get(self, request: Request, user_id: UUID, code: str) -> Response:
        """It is for an hour, or until it was used."""
        return Response({"valid": find_user_with_code(user_id, code) is not None})

    @extend_schema(
        operation_id="auth_reset_code_use",
        tags=["Signing in"],
        summary="Set a new password with a code",
        request=NewPasswordSerializer,
        responses=DetailSerializer,
    )
    def post(self, request: Request, user_id: UUID, code: str) -> Response:
        """All sessions end, and all tokens. 400 for a code that is not, or no longer, good."""
        given = NewPasswordSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        reset_password(
            user_id=user_id, code=code, address=address_of(request.META), **given.validated_data
        )
        return Response({"detail": "The password is changed. Sign in with it."})

    def get_serializer(self, **options: Any) -> NewPasswordSerializer:
        """For the form on the page."""
        return NewPasswordSerializer(**options)


DELETION_LOCATION = OpenApiParameter(
    "Location",
    OpenApiTypes.URI_REF,
    OpenApiParameter.HEADER,
    response=[202],
    description="Where the deletion can be watched.",
)


@extend_schema(tags=["Users"])
@extend_schema_view(
    list=extend_schema(summary="Everyone, to staff; yourself, to others"),
    create=extend_schema(summary="Register", responses={201: UserSerializer}),
    retrieve=extend_schema(summary="An account"),
    update=extend_schema(summary="Change an account"),
    partial_update=extend_schema(summary="Change some of an account"),
)
class UserViewSet(
    AnyoneMayCreate,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    GenericViewSet[User],
):
    """Accounts. Staff see everyone's, others their own. Anyone may register."""

    lookup_field = "id"
    lookup_value_converter = "uuid"
    filter_backends = [NameOrAddress]
    search_fields = ["username", "email"]

    def get_queryset(self) -> QuerySet[User]:
        return list_users(viewer_of(self.request))

    def get_object(self) -> User:
        return get_user(self.kwargs["id"], viewer_of(self.request))

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        if self.action == "password":
            return PasswordChangeSerializer
        return RegistrationSerializer if self.action == "create" else UserSerializer

    def perform_create(self, serializer: BaseSerializer[User]) -> None:
        count_registration(address_of(self.request.META))
        serializer.instance = register_user(**serializer.validated_data)

    def perform_update(self, serializer: BaseSerializer[User]) -> None:
        serializer.instance = change_user(
            user_id=self.kwargs["id"], viewer=viewer_of(self.request), **serializer.validated_data
        )

    @extend_schema(
        summary="Delete an account",
        responses={202: DeletionSerializer},
        parameters=[DELETION_LOCATION],
    )
    def destroy(self, request: Request, id: UUID) -> Response:
        """Close the account at once and have everything of it deleted.

        The answer says where to watch that. Repeated, by staff, it is the same deletion,
        also when that is done.
        """
        try:
            user = get_user_to_change(id, viewer_of(request))
            deletion = request_deletion(user_id=user.id)
        except UserNotFound:
            found = find_latest_deletion(id) if viewer_of(request).is_staff else None
            if found is None:
                raise
            deletion = found
        return Response(
            dict(DeletionSerializer(deletion).data),  # no content for the form of an account
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": reverse("deletion-detail", args=[deletion.id])},
        )

    @extend_schema(summary="Yourself")
    @action(detail=False, filter_backends=[], pagination_class=None)
    def me(self, request: Request) -> Response:
        """Your own account."""
        viewer = viewer_of(request)
        return Response(self.get_serializer(get_user(viewer.user_id, viewer)).data)

    @extend_schema(summary="Change your password", responses={204: None})
    @action(
        detail=False,
        methods=["post"],
        url_path="me/password",
    )
    def password(self, request: Request) -> Response:
        """Ends your other sessions and, unless you keep them, your other tokens.

        400 for a wrong present password, 429 after too many tries.
        """
        given = PasswordChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user = get_user(viewer_of(request).user_id, viewer_of(request))
        token = request.auth
        changed = change_password(
            user=user,
            token_id=token.id if isinstance(token, Token) else None,
            **given.validated_data,
        )
        if token is None:  # the session goes on, under another key
            update_session_auth_hash(request._request, changed)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Deletions"])
@extend_schema_view(retrieve=extend_schema(summary="How far a deletion is, or its certificate"))
class DeletionViewSet(OldTokenDoesNoHarm, mixins.RetrieveModelMixin, GenericViewSet[Deletion]):
    """The deletion of an account, to be watched; once done, its certificate.

    The id cannot be guessed, and whoever holds it may read the deletion and, while it is
    only scheduled, cancel it: the account's own sign-in is closed by then.
    """

    permission_classes = [AllowAny]
    serializer_class = DeletionSerializer
    lookup_field = "id"
    lookup_value_converter = "uuid"

    def get_object(self) -> Deletion:
        return get_deletion(self.kwargs["id"])

    @extend_schema(summary="Cancel a deletion", request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: UUID) -> Response:
        """While it is scheduled: bring the account back. 409 once it has begun."""
        return Response(self.get_serializer(cancel_deletion(deletion_id=id)).data)

    @extend_schema(summary="Pause a deletion", request=None)
    @action(detail=True, methods=["post"], permission_classes=[IsAdminUser])
    def pause(self, request: Request, id: UUID) -> Response:
        """Hold a running deletion. For staff."""
        return Response(self.get_serializer(pause_deletion(deletion_id=id)).data)

    @extend_schema(summary="Resume a deletion", request=None)
    @action(detail=True, methods=["post"], permission_classes=[IsAdminUser])
    def resume(self, request: Request, id: UUID) -> Response:
        """Let a paused deletion go on. For staff."""
        return Response(self.get_serializer(resume_deletion(deletion_id=id)).data)
