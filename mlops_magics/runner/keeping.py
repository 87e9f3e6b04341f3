"""The executed notebook on disk: whole after each cell, and without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.masking import MASK, masked, masked_value
from mlops_magics.foundation.secrecy import secret_name
from mlops_magics.runner.job import Failure, Value

ABOUT: Final = "mlops_magics"  # our part of the notebook's metadata
_PICTURES: Final = ("image/", "audio/", "video/", "application/pdf")  # bytes in base64
_TEXTS: Final = ("image/svg+xml",)


class Keeper:
    """Keeps an executed notebook.

    Args:
        path: Where.
        secrets: Values that are masked wherever they stand, beside all that looks like a secret.
        about: What is noted in the notebook's metadata.
    """

    def __init__(self, path: Path, secrets: Iterable[str], about: Mapping[str, Any]) -> None:
        self._path = path
        self._secrets = tuple(sorted(set(filter(None, secrets)), key=len, reverse=True))
        self._about = dict(about)
        self._done: dict[int, str] = {}

    def words(self, text: str) -> str:
        """Mask the secrets in a text."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return masked(text)

    def settle(self, place: int, cell: Mapping[str, Any]) -> None:
        """Take a cell for done: it is written as it is now from here on."""
        self._done[place] = self._cell(cell)

    def reopen(self, places: Iterable[int]) -> None:
        """Take cells for done no longer: a cell may have updated what an earlier one displays."""
        for place in places:
            self._done.pop(place, None)

    def keep(self, node: Mapping[str, Any], status: str, failure: Failure | None = None) -> None:
        """Write the notebook as it is now, whole or not at all.

        Args:
            node: The notebook.
            status: How far it is, or how it ended.
            failure: Why it did not finish.

        Raises:
            UnavailableError: It cannot be written; what was there is there still.
        """
        told = {**self._about, "status": status}
        if failure is not None:
            told["failure"] = _failure(failure)
        metadata = {**self._covered(node["metadata"]), ABOUT: told}
        cells = ",\n".join(
            self._done.get(place) or self._cell(cell) for place, cell in enumerate(node["cells"])
        )
        text = (
            f'{{"cells": [\n{cells}\n],\n"metadata": {_json(metadata)},\n'
            f'"nbformat": {node["nbformat"]},\n"nbformat_minor": {node["nbformat_minor"]}}}\n'
        )
        write_atomic(self._path, text.encode(errors="replace"), private=True)

    def _cell(self, cell: Mapping[str, Any]) -> str:
        made = {**cell, "source": self.words(cell["source"]).splitlines(keepends=True)}
        made["metadata"] = self._covered(cell["metadata"])
        if "outputs" in cell:
            made["outputs"] = [self._covered(output) for output in _joined(cell["outputs"])]
        return _json(made)

    def _covered(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 - JSON has no narrower type
        if isinstance(value, str):
            return masked_value(name, self.words(value))
        if isinstance(value, Mapping):
            return {
                self.words(key): item if _is_picture(key, item) else self._covered(item, key)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return self._lines(value)
        return value

    def _lines(self, value: list[Any]) -> list[Any]:
        """Mask a list; one of texts, such as a traceback, as the one text that it is when it is shown."""
        if value and all(isinstance(item, str) for item in value):
            whole = self.words("\n".join(value)).split("\n")
            counts = [item.count("\n") + 1 for item in value]
            if len(whole) != sum(counts):  # a secret of several lines became one
                return whole
            lines = iter(whole)
            return ["\n".join(next(lines) for _ in range(count)) for count in counts]
        return [self._covered(item) for item in value]


def noted(path: Path, status: str, failure: Failure | None, more: Mapping[str, Any] | None = None) -> None:
    """Note in a kept notebook how its execution ended, where nobody else could.

    Args:
        path: The notebook.
        status: How it ended.
        failure: Why it did not finish.
        more: What else is noted.

    Raises:
        UnavailableError: It cannot be written.
    """
    try:
        node = json.loads(path.read_bytes())
        about = node["metadata"][ABOUT]
    except (OSError, ValueError, KeyError, TypeError):  # somebody removed it, or put something else there
        return
    about |= (
        dict(more or {}) | {"status": status} | ({} if failure is None else {"failure": _failure(failure)})
    )
    write_atomic(path, (_json(node) + "\n").encode(errors="replace"), private=True)


def is_kept(path: Path) -> bool:
    """Tell whether a file is an executed notebook of ours, which may be replaced."""
    try:
        return ABOUT in json.loads(path.read_bytes())["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _failure(failure: Failure) -> dict[str, Any]:
    return {"name": failure.name, "words": failure.words, "cell": failure.cell}


def covered(parameters: Mapping[str, Value]) -> dict[str, Value]:
    """Mask the parameters that are secrets by their name, or hold one."""
    return {name: _parameter(name, value) for name, value in parameters.items()}


def _parameter(name: str, value: Value) -> Value:
    if isinstance(value, list):
        return [_parameter(name, item) for item in value]
    if isinstance(value, dict):
        return {key: _parameter(key if secret_name(key) else name, item) for key, item in value.items()}
    if isinstance(value, str):
        return masked_value(name, value)
    return MASK if secret_name(name) and type(value) in {int, float} else value


def _joined(outputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Join what was printed in pieces, so that no secret lies across two of them."""
    found: list[dict[str, Any]] = []
    for output in outputs:
        last = found[-1] if found else {}
        both = {output.get("output_type"), last.get("output_type")} == {"stream"}
        if both and output["name"] == last["name"]:
            last["text"] += output["text"]
        else:
            found.append(dict(output))
    for output in found:
        if output.get("output_type") == "stream" and "\r" in output["text"]:
            # A bar of progress: each line as it was last. nbclient does so too, with a pattern that takes the
            # square of a line's length.
            output["text"] = "\n".join(map(_last_state, output["text"].replace("\r\n", "\n").split("\n")))
    return found


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


def _is_picture(key: str, value: object) -> bool:
    return isinstance(value, str) and key.startswith(_PICTURES) and key not in _TEXTS


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
