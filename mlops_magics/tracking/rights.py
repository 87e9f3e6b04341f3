"""Who MLflow says that we are, and what it lets us do: the permissions of its own auth app.

A server without the auth app, and a store that is no server, know nobody and let everybody do everything:
then names are claims of the operating system, and there is no right to speak of.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.store import Store, door

Thing = Literal["registered_model", "experiment"]

_WHO: Final = "/api/2.0/mlflow/users/current"
_RIGHT: Final = "/api/3.0/mlflow/users/permissions/get"
_GRANT: Final = "/api/3.0/mlflow/users/permissions/grant"
_USERS: Final = "/api/2.0/mlflow/users/list"
_REVOKE: Final = "/api/3.0/mlflow/users/permissions/revoke"
_FOUND: Final = 200
_THERE: Final = "RESOURCE_ALREADY_EXISTS"
_PATIENCE: Final = 10  # seconds
_MANY: Final = 200  # users that are asked about one by one
RANKS: Final = ("DENY", "NO_PERMISSIONS", "READ", "USE", "EDIT", "MANAGE")
"""What a user may do with a thing, in MLflow's words; each includes those before it."""


@dataclass(frozen=True, slots=True)
class User:
    """Who acts.

    Attributes:
        name: The name.
        verified: Whether MLflow authenticated it; without that it is what the operating system says.
        admin: Whether MLflow lets that user do everything.
    """

    name: str
    verified: bool
    admin: bool = False


def current(store: Store) -> User:
    """Say who acts: the user that MLflow authenticated, else the operating system's."""
    answer = _asked(store, _WHO, "GET")
    found = {} if answer is None else answer.get("user") or {}
    if isinstance(found, dict) and isinstance(found.get("username"), str):
        return User(found["username"], verified=True, admin=bool(found.get("is_admin")))
    return User(user(), verified=False)


def right(store: Store, who: User, kind: Thing, name: str) -> str | None:
    """Say what a user may do with a thing.

    Args:
        store: The open store.
        who: The user.
        kind: What the thing is.
        name: A registered model's name, or an experiment's id.

    Returns:
        One of :data:`RANKS`; None where the store has no permissions, or does not tell this user.
    """
    if not who.verified:
        return None
    if who.admin:
        return "MANAGE"
    asked = {"username": who.name, "resource_type": kind, "resource_id": name}
    answer = _asked(store, _RIGHT, "GET", params=asked)
    found = None if answer is None else answer.get("permission")
    return found if found in RANKS else None


def suffices(held: str | None, needed: str) -> bool:
    """Tell whether a right includes another; where none is known nothing stands against it."""
    return held is None or RANKS.index(held) >= RANKS.index(needed)


def editors(store: Store, kind: Thing, name: str) -> tuple[str, ...]:
    """Name the users, administrators aside, who may change a thing.

    Args:
        store: The open store.
        kind: What the thing is.
        name: A registered model's name, or an experiment's id.

    Returns:
        The users; none where who asks is no administrator, whom alone MLflow tells, or there are too many.
    """
    if not current(store).admin:
        return ()
    answer = _asked(store, _USERS, "GET")
    users = [] if answer is None else answer.get("users") or []
    if len(users) > _MANY:
        return ()
    names = [str(each["username"]) for each in users if not each.get("is_admin")]
    held = {each: right(store, User(each, verified=True), kind, name) for each in names}
    return tuple(each for each, what in held.items() if what is not None and suffices(what, "EDIT"))


def grant(store: Store, name: str, kind: Thing, thing: str, permission: str) -> None:
    """Let a user do something with a thing, in place of what they may now; who asks must be its manager.

    Args:
        store: The open store.
        name: The user.
        kind: What the thing is.
        thing: A registered model's name, or an experiment's id.
        permission: One of :data:`RANKS`.

    Raises:
        RefusedError: Who asks is no manager of it.
        UnavailableError: There is no such user, or the server has no permissions.
    """
    from mlflow.exceptions import RestException
    from mlflow.utils.rest_utils import verify_rest_response

    whom = {"username": name, "resource_type": kind, "resource_id": thing}
    told = whom | {"permission": permission}
    with door(f"The permission {permission} for {name}"):
        try:
            verify_rest_response(_request(store, _GRANT, "POST", json=told), _GRANT)
        except RestException as error:
            if error.error_code != _THERE:
                raise
            # MLflow adds a permission and never changes one.
            if right(store, User(name, verified=True), kind, thing) != permission:
                verify_rest_response(_request(store, _REVOKE, "POST", json=whom), _REVOKE)
                verify_rest_response(_request(store, _GRANT, "POST", json=told), _GRANT)


def _asked(store: Store, path: str, method: str, **content: Any) -> dict[str, Any] | None:  # noqa: ANN401 - JSON
    """Ask the auth app; None where there is none, or it does not answer with what was asked for."""
    if not store.uri.startswith(("http://", "https://")):
        return None
    with contextlib.suppress(Exception):  # whatever goes wrong, nobody was authenticated
        answer = _request(store, path, method, **content)
        if answer.status_code == _FOUND:
            found = answer.json()
            return found if isinstance(found, dict) else None
    return None


def _request(store: Store, path: str, method: str, **content: Any) -> Any:  # noqa: ANN401 - requests' own
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    return http_request(
        get_default_host_creds(store.uri),
        path,
        method,
        max_retries=0,
        timeout=_PATIENCE,
        raise_on_status=False,
        **content,
    )
