"""A lease: of those who want to do the same thing to a model, on any machine, one does it.

As with moves of an alias, who wants it first says so in a tag of the model and then looks whether anybody
else has; of two that do so at once not both can see nobody. Who holds it renews it. A holder of this machine
is dead when its process is, one of this process when it no longer knows of it, and any other when its time is
over and it does not renew it while it is watched, by a count that no clock moves.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import Store, door

_SECONDS: Final = 120.0
_BEAT: Final = 30.0
_WATCHED: Final = 75.0  # seconds: two beats and a slow store
_TRIES: Final = 8
_PAUSE: Final = 0.2  # seconds, doubled each time and drawn at random
_DROPS: Final = 4  # a store may be busy just when a lease is given back

_ours: Final[set[str]] = set()  # what this process wants or holds; else a lost drop would last as long as it


class BusyError(RefusedError):
    """Somebody else holds the lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who wants or does something.

    Attributes:
        id: What tells it from any other.
        process: Who.
        until: Until when it holds unless it is renewed, in seconds since the epoch.
        beat: How often it was renewed.
        held: Whether it was got; before, it is only wanted.
    """

    id: str
    process: ProcessId
    until: float
    beat: int = 0
    held: bool = False


@contextlib.contextmanager
def leased(store: Store, model: str, purpose: str, identifier: str) -> Iterator[Held]:
    """Hold a lease for the length of a ``with`` block.

    Args:
        store: The open store.
        model: The registered model.
        purpose: What it is for.
        identifier: What tells this holder from any other.

    Yields:
        What says whether it is still held.

    Raises:
        BusyError: Somebody else holds it.
    """
    mine = Lease(identifier, ProcessId.current(), time.time() + _SECONDS)
    _ours.add(identifier)
    try:
        held = Held(store, model, purpose, _taken(store, model, purpose, mine))
        with held.renewed():
            yield held
    finally:
        _ours.discard(identifier)
        _given_back(store, model, _key(purpose, identifier))


def holders(store: Store, model: str, purpose: str) -> tuple[Lease, ...]:
    """List those who want or hold a lease; the dead ones of this machine are taken away."""
    found = []
    for lease in _read_all(registry.tags_of(store, model), purpose):
        if lease.process.alive() is False or _left_behind(lease):
            _drop(store, model, _key(purpose, lease.id))
        else:
            found.append(lease)
    return tuple(found)


class Held:
    """A lease that is held, and renewed while it is."""

    def __init__(self, store: Store, model: str, purpose: str, lease: Lease) -> None:
        self._store, self._model, self._purpose, self._lease = store, model, purpose, lease

    def check(self) -> None:
        """Make sure that it is still held.

        Raises:
            RefusedError: It was taken for dead.
        """
        key = _key(self._purpose, self._lease.id)
        if key not in registry.tags_of(self._store, self._model):
            raise RefusedError(
                f"This {self._purpose} of {self._model} was taken for dead by another machine.",
                f"Look at how {self._model} stands, and begin again.",
            )

    @contextlib.contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it every half minute for the length of a ``with`` block."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(_BEAT):
                with contextlib.suppress(Exception):  # the next beat tries again
                    self.check()  # one that was taken for dead stays so
                    self._lease = replace(
                        self._lease, until=time.time() + _SECONDS, beat=self._lease.beat + 1
                    )
                    _write(self._store, self._model, self._purpose, self._lease)
            if late.is_set():  # what was written last came after it was given back
                _given_back(self._store, self._model, _key(self._purpose, self._lease.id))

        late = threading.Event()
        thread = threading.Thread(target=beat, name="mlops-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=5.0)
            late.set()


def _taken(store: Store, model: str, purpose: str, mine: Lease) -> Lease:
    """Get the lease; say first, then look."""
    for attempt in range(_TRIES):
        _write(store, model, purpose, mine)
        others = [one for one in holders(store, model, purpose) if one.id != mine.id]
        others = [one for one in others if not _over(store, model, purpose, one)]
        if not others:
            got = replace(mine, held=True, until=time.time() + _SECONDS)
            if _key(purpose, mine.id) in registry.tags_of(store, model):
                _write(store, model, purpose, got)
                return got
        else:
            _drop(store, model, _key(purpose, mine.id))
            if any(one.held for one in others):
                break
        # Nothing secret hangs on the pause; it only must not be the other's.
        time.sleep(_PAUSE * 2 ** min(attempt, 4) * random.uniform(0.5, 1.5))  # noqa: S311
    first = next(iter(holders(store, model, purpose)), None)
    who = "another process" if first is None else f"process {first.process.pid} of {first.process.host}"
    raise BusyError(f"A {purpose} of {model} is under way ({who}).", "Wait until it has ended.")


def _over(store: Store, model: str, purpose: str, lease: Lease) -> bool:
    """Tell whether somebody else's lease is over, and take it away where it is."""
    left = lease.until - time.time()
    if 0 <= left <= 2 * _SECONDS:
        return False
    # Its time is over, or one of the two clocks was set: only watching tells.
    begun = time.monotonic()
    while time.monotonic() - begun < _WATCHED:
        time.sleep(min(5.0, _WATCHED))
        now = _read(registry.tags_of(store, model).get(_key(purpose, lease.id), ""))
        if now is None:
            return True
        if now.beat != lease.beat:
            return False
    _drop(store, model, _key(purpose, lease.id))
    return True


def _left_behind(lease: Lease) -> bool:
    """Tell whether it is of this process and none of its threads knows of it."""
    return lease.process.pid == os.getpid() and lease.process.alive() is True and lease.id not in _ours


def _given_back(store: Store, model: str, key: str) -> None:
    """Drop a lease of one's own; where the store does not let us, it ends by itself."""
    for attempt in range(_DROPS):
        try:
            _drop(store, model, key)
        except MLOpsError:
            time.sleep(_PAUSE * 2**attempt)
        else:
            return


def _key(purpose: str, identifier: str) -> str:
    return f"mlops.lease.{purpose}.{identifier}"


def _write(store: Store, model: str, purpose: str, lease: Lease) -> None:
    with door(f"The model '{model}'"):
        text = json.dumps(asdict(lease))
        store.client.set_registered_model_tag(model, _key(purpose, lease.id), text)


def _drop(store: Store, model: str, key: str) -> None:
    # Of two that take a dead one's away the slower finds nothing.
    with contextlib.suppress(NotFoundError), door(f"The model '{model}'"), contextlib.suppress(KeyError):
        store.client.delete_registered_model_tag(model, key)


def _read_all(tags: Mapping[str, str], purpose: str) -> list[Lease]:
    prefix = _key(purpose, "")
    found = (_read(value) for key, value in tags.items() if key.startswith(prefix))
    return sorted((one for one in found if one is not None), key=lambda one: one.id)


def _read(text: str) -> Lease | None:
    try:
        content: dict[str, Any] = json.loads(text)
        return Lease(**(content | {"process": ProcessId(**content["process"])}))
    except (ValueError, TypeError, KeyError):
        return None
