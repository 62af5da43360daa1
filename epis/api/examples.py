"""What bodies may look like, by the names that the schema gives them.

A test holds them against the schema, so they are as true as it is.
"""

from typing import Any

USER_ID = "01937bd4-9c6e-7b30-8f04-3c5d6a2b1e90"
COUNTER_ID = "01937bd5-02aa-7c11-9e4f-6b7a8c9d0e1f"
INCREMENT_ID = "01937bd5-4d10-7e22-a1b2-c3d4e5f60718"
TODO_ID = "01937bd6-1f3c-7d44-b5c6-d7e8f9a0b1c2"
SIGN_IN_ID = "01937bd4-d2f1-7a05-8b6c-7d8e9fa0b1c2"
DELETION_ID = "5f0c2a1e-8f7d-4b3a-9c6e-1d2f3a4b5c6d"
MORNING, NOON = "2031-05-01T08:30:00Z", "2031-05-01T12:00:00Z"
OWNER = {"id": USER_ID, "username": "robin"}
PASS_PHRASE = "a long pass phrase"  # noqa: S105 - nobody's  # nosec B105

A_TODO = {"title": "우유를 사다", "tags": ["soon"], "due_at": NOON, "visibility": "private"}
A_WHOLE_TODO = {
    "id": TODO_ID,
    "owner": OWNER,
    **A_TODO,
    "content": "",
    "category": "home",
    "completed": False,
    "completed_at": None,
    "created_at": MORNING,
    "updated_at": MORNING,
    "deleted_at": None,
    "version": 1,
}
A_STEP = {
    "app": "todos",
    "state": "done",
    "deleted": 12,
    "total": 12,
    "started_at": MORNING,
    "finished_at": MORNING,
    "retry_at": None,
}

EXAMPLES: dict[str, Any] = {
    "RegistrationRequest": {
        "username": "robin",
        "password": PASS_PHRASE,
        "email": "robin@example.org",
    },
    "User": {
        "id": USER_ID,
        "username": "robin",
        "email": "robin@example.org",
        "created_at": MORNING,
        "updated_at": MORNING,
    },
    "UserRequest": {"username": "redbreast"},
    "PatchedUserRequest": {"username": "redbreast"},
    "CredentialsRequest": {
        "username": "robin",
        "password": PASS_PHRASE,
        "name": "laptop",
        "expires_in": 86_400,
    },
    "NewToken": {
        "id": SIGN_IN_ID,
        "token": "epis_shown-once-and-never-again",  # nosec B105
        "name": "laptop",
        "expires_at": NOON,
    },
    "Token": {
        "id": SIGN_IN_ID,
        "name": "laptop",
        "created_at": MORNING,
        "expires_at": NOON,
        "last_used_at": None,
    },
    "PasswordChangeRequest": {
        "password": PASS_PHRASE,
        "new_password": "another long pass phrase",  # nosec B105
        "keep_tokens": False,
    },
    "ResetRequestRequest": {"username": "robin"},
    "NewPasswordRequest": {"new_password": "another long pass phrase"},  # nosec B105
    "ResetAvailable": {"available": True},
    "ResetCode": {"valid": True},
    "Detail": {"detail": "The password is changed. Sign in with it."},
    "Deletion": {
        "id": DELETION_ID,
        "user_id": USER_ID,
        "state": "done",
        "requested_at": MORNING,
        "starts_at": MORNING,
        "finished_at": NOON,
        "progress": 1.0,
        "rows_left": 0,
        "rows_per_second": None,
        "seconds_left": None,
        "steps": [A_STEP],
        "certificate": {"deleted": {"todos": 12}, "orphans": 0, "verified_at": NOON},
    },
    "TodoRequest": A_TODO,
    "PatchedTodoRequest": {"completed": True},
    "TodoReplacementRequest": {**A_TODO, "version": 1},
    "Todo": A_WHOLE_TODO,
    "Version": {
        "version": 2,
        "action": "changed",
        "at": NOON,
        "by": OWNER,
        "changes": {"category": {"from": "", "to": "home"}},
    },
    "Label": {"name": "soon", "count": 3},
    "Changes": {
        "next": None,
        "previous": None,
        "results": [{"id": TODO_ID, "version": 2, "deleted": False}],
        "cursor": "what-to-send-as-since-next-time",
    },
    "Imported": {
        "added": 12,
        "known": 0,
        "broken": 1,
        "lines": [{"line": 14, "todo": 1, "detail": {"title": ["This field may not be blank."]}}],
    },
    "BulkRequest": {
        "create": [A_TODO],
        "update": [{"id": TODO_ID, "version": 1, "completed": True}],
        "delete": [],
    },
    "BulkResult": {"results": [A_WHOLE_TODO]},
    "CounterRequest": {"name": "coffees", "visibility": "public"},
    "PatchedCounterRequest": {"description": "Since the first of May."},
    "Counter": {
        "id": COUNTER_ID,
        "name": "coffees",
        "description": "",
        "visibility": "public",
        "owner": OWNER,
        "value": 41,
        "pending": {"count": 1, "amount": 1},
        "created_at": MORNING,
        "updated_at": MORNING,
    },
    "NewIncrementRequest": {"amount": 1, "key": "monday"},
    "Receipt": {
        "id": INCREMENT_ID,
        "counter": COUNTER_ID,
        "key": "monday",
        "amount": 1,
        "state": "applied",
        "result": 42,
        "accepted_at": MORNING,
        "applied_at": MORNING,
    },
    "Accepted": {
        "accepted": 1,
        "duplicates": 0,
        "results": [{"key": "monday", "id": INCREMENT_ID}],
    },
    "Problem": {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "The input was refused: see `errors`.",
        "code": "invalid",
        "errors": [{"field": "title", "code": "required", "message": "This field is required."}],
    },
}
