"""The local target: endpoints on this machine, each kept alive by a small supervisor process."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from mlops_magics.artifact.guard import Scope, Token
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import (
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
    nearest,
)
from mlops_magics.foundation.locks import locked
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets import local_tokens, local_unit
from mlops_magics.targets.base import Answer, Difference, Endpoint, EndpointStatus, Request
from mlops_magics.targets.call import call, get
from mlops_magics.targets.local_address import address, caution
from mlops_magics.targets.local_deploy import Deployment, end, not_live, wait_for_workers
from mlops_magics.targets.local_files import Depot, Place, store_mark
from mlops_magics.targets.local_follow import begun, offered
from mlops_magics.targets.local_plan import beside_words, differences
from mlops_magics.targets.standby import Standby

_LOCK = 120.0  # seconds: another kernel's deploy may take its own minute


class LocalTarget:
    """Serves models on this machine, on its loopback address.

    Args:
        settings: The settings; ``state`` is where endpoints, keys, logs and copies of models lie.
        store: The store's shown address: endpoints of other stores are neither listed nor touched.
    """

    def __init__(self, settings: Settings, store: str) -> None:
        self._settings = settings
        self._state = settings.state
        self._store = store
        self._depot = Depot(settings.state)

    def deploy(self, request: Request, *, standby: Standby | None = None) -> Endpoint:
        """Serve a model, in place of the version that the endpoint serves now, if it does.

        The first deploy chooses a port and a token; every later one keeps them. A new version of a
        living endpoint is loaded beside the old one and answers the example at a port of its own
        before the first client meets it.

        Args:
            request: What is to be served.
            standby: A warm process to start from; it is used when the endpoint has no process yet.

        Returns:
            The endpoint, ready.

        Raises:
            UnavailableError: It did not work; what was served before still is.
            UsageError: The name or the port cannot be had.
            RefusedError: A follower asks whose following has ended.
        """
        if os.name != "posix":
            raise UnavailableError(
                "The local target needs Linux or macOS.", "Deploy from there, or from WSL."
            )
        _fits(request)
        place = self._place(checked_name(request.name, "endpoint"))
        with self._lock():
            before = State.read(place.state)
            if before and before.status == "stopping" and _alive(before):
                end(before)
            alive = before is not None and _alive(before)
            follow = begun(request, self._settings)
            followed = before.follow if alive and before else None
            if request.mark and not (followed and followed.mark == request.mark):
                raise RefusedError(
                    f"{request.name} no longer follows {request.follow}.", "Nothing is to be done."
                )
            was = self._endpoint(before) if alive and before else None
            if alive and before:
                _stays(request, before)
            deployment = Deployment(
                request=request,
                place=place,
                before=before,
                alive=alive,
                follow=follow,
                reserve=self._settings.reserve,
            )
            try:
                with offered(None if request.mark else follow, place.state, self._settings):
                    state = deployment.run(self._depot, standby)
            finally:
                self._depot.prune()
            endpoint = replace(self._endpoint(state), replaced=was)
            ended = followed and not follow and not request.beside
            return replace(endpoint, followed=followed.alias) if ended and followed else endpoint

    def plan(self, request: Request, *, shadow: Request | None = None) -> tuple[Difference, ...]:
        """Say what would change: version, address, what it follows, what stands beside it, what is kept.

        Args:
            request: What would be served.
            shadow: What would be put beside it as a shadow in the same call.

        Returns:
            The differences; none where this version is served so already.

        Raises:
            RefusedError: A version shall stand beside an endpoint that is not live.
            UsageError: What is asked does not fit the endpoint.
            UnavailableError: It runs on another machine.
        """
        _fits(request)
        place = self._place(request.name)
        state = State.read(place.state)
        if state and _alive(state):
            _stays(request, state)
        elif request.beside:
            raise not_live(request)
        if request.beside_follows and not (state and state.follow):
            raise RefusedError(
                f"{request.name} follows no alias, so that nothing beside it can.",
                f"%mlops_deploy {request.model}@champion --follow  first, or leave --follow out.",
            )
        status: EndpointStatus = self._endpoint(state).status if state else "down"
        return differences(request, state, place.state, status=status, shadow=shadow)

    def remove(self, name: str, *, into: Path | None = None) -> Endpoint:
        """Stop an endpoint, finish what is under way, and delete its key and its files.

        Args:
            name: The endpoint.
            into: Not taken: nothing of it lies in a folder of the user's.

        Returns:
            The endpoint as it was.

        Raises:
            NotFoundError: There is no endpoint of this name.
            UnavailableError: It runs on another machine.
            UsageError: A folder was named.
        """
        _only_here(into)
        with self._lock():
            place = self._place(name)
            state = State.read(place.state) or self._missing(name)
            endpoint = self._endpoint(state)
            if _alive(state):
                end(state)
            wait_for_workers(state)
            place.clear()
            self._depot.prune()
        return endpoint

    def list(self) -> tuple[Endpoint, ...]:
        """List this store's endpoints by name, with how each is now."""
        paths = sorted((self._state / "endpoints").glob(f"*-{store_mark(self._store)}.json"))
        return tuple(self._endpoint(state) for path in paths if (state := State.read(path)))

    def call(self, name: str, body: bytes, *, content_type: str = "application/json") -> Answer:
        """Ask an endpoint for predictions.

        Args:
            name: The endpoint.
            body: A request's body.
            content_type: What the body is.

        Returns:
            The answer, of status 200.

        Raises:
            NotFoundError: There is no endpoint of this name.
            MLOpsError: It refused the request, or cannot be reached.
        """
        place = self._place(name)
        state = State.read(place.state) or self._missing(name)
        return call(self._endpoint(state), body, content_type=content_type, token=place.token())

    def look(self, name: str, path: str) -> Answer:
        """Read something that an endpoint says of itself.

        Args:
            name: The endpoint.
            path: What is read, such as ``/openapi.json``.

        Returns:
            The answer, of status 200.

        Raises:
            NotFoundError: There is no endpoint of this name.
            MLOpsError: It refused the request, or cannot be reached.
        """
        place = self._place(name)
        state = State.read(place.state) or self._missing(name)
        return get(self._endpoint(state), path, token=place.token())

    def key_file(self, name: str) -> Path:
        """Name the file (0600) that holds an endpoint's token, for clients outside of the notebook."""
        return self._place(name).token_file

    def tokens(self, name: str) -> tuple[tuple[Token, Path], ...]:
        """List the tokens beside an endpoint's own, each with the file that it was written to.

        Raises:
            NotFoundError: There is no endpoint of this name.
        """
        return local_tokens.listed(self._known(name))

    def grant(self, name: str, who: str, scopes: tuple[Scope, ...]) -> Path:
        """Make a token beside an endpoint's own; it opens from the next request on.

        Args:
            name: The endpoint.
            who: Whose token it is.
            scopes: What it opens.

        Returns:
            The file (0600) that its value was written to.

        Raises:
            NotFoundError: There is no endpoint of this name.
            RefusedError: There is a token of this name.
        """
        with self._lock():
            return local_tokens.granted(self._known(name), who, scopes)

    def revoke(self, name: str, who: str) -> None:
        """Take a token back; it opens nothing from the next request on.

        Raises:
            NotFoundError: There is no such endpoint or token.
        """
        with self._lock():
            local_tokens.revoked(self._known(name), who)

    def unit(self, name: str, folder: Path) -> tuple[Path, str]:
        """Write the systemd user unit that starts an endpoint again after a restart of the machine.

        Args:
            name: The endpoint.
            folder: Where to write it.

        Returns:
            The file, and the unit's name.

        Raises:
            NotFoundError: There is no endpoint of this name.
            RefusedError: There is a file of this name that was not written here.
        """
        with self._lock():
            return local_unit.unit(self._known(name), folder)

    def course(self, name: str) -> local_unit.Course:
        """Say what an endpoint follows after a restart of the machine, and what it needs for that.

        Raises:
            NotFoundError: There is no endpoint of this name.
        """
        return local_unit.course(self._known(name))

    # -- what is where ---------------------------------------------------------------------------

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self._state / "deploy.lock", seconds=_LOCK)

    def _place(self, name: str) -> Place:
        return Place(self._state, f"{checked_name(name, 'endpoint')}-{store_mark(self._store)}")

    def _known(self, name: str) -> Place:
        place = self._place(name)
        return place if State.read(place.state) else self._missing(name)

    def _missing(self, name: str) -> NoReturn:
        known = [endpoint.name for endpoint in self.list()]
        raise NotFoundError(
            f"There is no endpoint {name}.", nearest(name, known) or "Make one with %mlops_deploy."
        )

    def _endpoint(self, state: State) -> Endpoint:
        alive = state.process.alive()
        status: EndpointStatus = "elsewhere" if alive is None else state.status if alive else "down"
        return Endpoint(
            name=state.name,
            **address(state.host, state.port, state.certificate),
            model=state.model,
            version=state.version,
            port=state.port,
            pid=state.pid,
            started=state.started,
            status=status,
            workers=len(state.workers) if alive else 0,
            store=self._store,
            engine=state.engine,
            journal=journal if (journal := self._place(state.name).journal).is_dir() else None,
            key_file=self._place(state.name).token_file,
            caution=caution(state.certificate),
            beside=beside_words(state.beside, state.version) if alive and state.beside else "",
            second=state.beside if alive else None,
            follows=state.follow.alias if alive and state.follow else "",
            remark=state.follow.remark.what if alive and state.follow and state.follow.remark else "",
        )


def _stays(request: Request, before: State) -> None:
    """Refuse to move a living endpoint: its clients know where and how it is asked."""
    if request.port not in {None, before.port}:
        raise UsageError(
            f"{request.name} already answers at port {before.port}.",
            f"Leave the port out, or remove the endpoint before it moves to {request.port}.",
        )
    if request.host not in {None, before.host}:
        raise UsageError(
            f"{request.name} already answers at {before.host}.",
            f"Leave the host out, or remove the endpoint before it moves to {request.host}.",
        )
    if request.certificate and not before.certificate:
        raise UsageError(
            f"{request.name} already answers without TLS, and its clients ask it so.",
            f"%mlops_deploy {request.name} --remove  first, or leave --certificate out.",
        )


def _fits(request: Request) -> None:
    """Refuse what another target would have understood."""
    _only_here(request.into)
    if request.image is not None or request.replicas is not None:
        raise UsageError(
            "The local target runs no image and no copies.",
            "Leave --image and --replicas out; --workers says how many processes answer.",
        )


def _only_here(into: Path | None) -> None:
    if into is not None:
        raise UsageError("The local target writes no files for you.", "Leave --into out.")


def _alive(state: State) -> bool:
    """Tell whether an endpoint's supervisor runs.

    Raises:
        UnavailableError: Nobody can tell from here.
    """
    alive = state.process.alive()
    if alive is None:
        raise UnavailableError(
            f"{state.name} was deployed from {state.node}, which shares this state folder.",
            f"Work on {state.node}, or set MLOPS_STATE to a folder of this machine's own.",
        )
    return alive
