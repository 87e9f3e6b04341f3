"""A watch on a live endpoint: how it is, what came to it of late, a row tried by hand, how others ask it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError
from mlops_magics.foundation.files import from_home
from mlops_magics.steps.deploy.traffic import observed
from mlops_magics.targets.base import Answer, Endpoint
from mlops_magics.targets.local import LocalTarget

View = dict[str, Any]

_WINDOW: Final = 300.0  # seconds that are looked back
_PARTS: Final = 30  # of these, in which requests are counted
_FIELDS: Final = 40  # columns that can be filled in by hand; the rest stays as in the example
_LONGEST: Final = 4_000  # characters of a cell
_MADE_UP: Final[Mapping[str, Any]] = {"number": 0.0, "integer": 0, "boolean": False, "string": "text"}


class Watch:
    """Looks at one endpoint of this machine, and asks it. The token stays here.

    Args:
        target: The local target.
        name: The endpoint.
    """

    def __init__(self, target: LocalTarget, name: str) -> None:
        self._target = target
        self._name = name
        self._told: tuple[str, list[View]] = ("", [])

    def look(self) -> View:
        """Describe the endpoint as it is now, and what came in the last minutes.

        Raises:
            NotFoundError: It was removed.
        """
        endpoint = self._endpoint()
        fields = self._fields(endpoint)
        traffic = observed(endpoint.journal, _WINDOW, _PARTS) if endpoint.journal else None
        example = {each["name"]: each["example"] for each in fields}
        return {
            **_described(endpoint),
            "traffic": traffic and {**traffic, "roles": _in_service(endpoint, traffic["roles"])},
            "window": _WINDOW,
            "fields": [_field(each) for each in fields[:_FIELDS]],
            "more": max(0, len(fields) - _FIELDS),
            "snippets": snippets(endpoint, example) if example else [],
        }

    def ask(self, values: Mapping[str, str]) -> View:
        """Ask the endpoint about one row.

        Args:
            values: What was filled in, by column, as text; another column stays as in the example.

        Returns:
            The prediction, which version gave it, how long it took, and the request's id.

        Raises:
            UsageError: A value is not of its column's type, or the endpoint does not take the row.
            UnavailableError: The endpoint does not answer.
        """
        fields = self._fields(self._endpoint())
        row = {each["name"]: _cell(each, values) for each in fields}
        body = orjson.dumps({"dataframe_split": {"columns": list(row), "data": [list(row.values())]}})
        return _answered(self._name, self._target.call(self._name, body))

    def _endpoint(self) -> Endpoint:
        for endpoint in self._target.list():
            if endpoint.name == self._name:
                return endpoint
        raise NotFoundError(f"The endpoint {self._name} was removed.", "Make it again with %mlops_deploy.")

    def _fields(self, endpoint: Endpoint) -> list[View]:
        """List the columns that the version takes, as the endpoint itself describes them."""
        mark = f"{endpoint.version}:{endpoint.pid}"
        if endpoint.status != "ready":
            return self._told[1]
        if self._told[0] != mark:
            answer = self._target.look(self._name, "/openapi.json")
            self._told = (mark, _columns(orjson.loads(answer.body)))
        return self._told[1]


def _described(endpoint: Endpoint) -> View:
    return {
        "name": endpoint.name,
        "model": endpoint.model,
        "version": endpoint.version,
        "status": endpoint.status,
        "url": endpoint.url,
        "workers": endpoint.workers,
        "engine": endpoint.engine,
        "follows": endpoint.follows,
        "remark": " ".join(str(each) for each in (endpoint.remark, endpoint.caution) if each),
        "beside": endpoint.beside,
        "key_file": from_home(endpoint.key_file) if endpoint.key_file else "",
        "certificate": from_home(endpoint.certificate) if endpoint.certificate else "",
    }


def _in_service(endpoint: Endpoint, roles: list[list[Any]]) -> list[list[Any]]:
    """Add to the versions that answered those that stand there, and were asked nothing."""
    there = [(endpoint.version, "live")]
    second = endpoint.second
    if second and second.version != endpoint.version and not second.stopped:
        there.append((second.version, second.role))
    known = {(version, role) for version, role, _ in roles}
    idle = [[*one, 0] for one in there if endpoint.status == "ready" and one not in known]
    return sorted([*roles, *idle], key=lambda row: (row[0], row[1]))


def _columns(document: Mapping[str, Any]) -> list[View]:
    """Read the columns and the example out of an endpoint's description of itself."""
    row = document["components"]["schemas"]["Row"]
    asked = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    split = asked.get("example", {}).get("dataframe_split", {"columns": [], "data": [[]]})
    example = dict(zip(split["columns"], split["data"][0], strict=True))
    found = []
    for name, cell in row.get("properties", {}).items():
        kind = cell["type"] if isinstance(cell["type"], str) else cell["type"][0]
        date = "ISO 8601" in cell.get("description", "")
        made_up = "2026-01-01T00:00:00" if date else "" if "contentEncoding" in cell else _MADE_UP[kind]
        found.append(
            {
                "name": name,
                "type": "date" if date else kind,
                "required": name in row.get("required", ()),
                "example": example.get(name, made_up),
            }
        )
    return found


def _field(told: View) -> View:
    value = told["example"]
    shown = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return {**told, "example": shown}


def _cell(told: View, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - a cell of JSON
    """Read what was filled in for a column.

    Raises:
        UsageError: It is not of the column's type.
    """
    if told["name"] not in values:
        return told["example"]
    text = values[told["name"]][:_LONGEST].strip()
    if not text:
        if told["required"]:
            raise UsageError(f"{told['name']} has no value.", "The model asks for one in each row.")
        return None
    try:
        return _READ[told["type"]](text)
    except (ValueError, KeyError):
        noun = {"number": "a number", "integer": "a whole number"}.get(told["type"], "true or false")
        raise UsageError(f"{told['name']} must be {noun}.", "Correct it, and ask again.") from None


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_READ: Final[Mapping[str, Any]] = {
    "number": _number,
    "integer": int,
    "boolean": lambda text: {"true": True, "false": False}[text.lower()],
    "string": str,
    "date": str,
}


def _answered(name: str, answer: Answer) -> View:
    try:
        (value,) = orjson.loads(answer.body)["predictions"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UnavailableError(
            f"{name} answered with something that is no prediction.",
            "Another program may be listening at its port: deploy it again.",
        ) from error
    return {
        "value": value if isinstance(value, str | int | float | bool) or value is None else str(value),
        "version": answer.headers.get("x-model-version", ""),
        "request": answer.headers.get("x-request-id", ""),
        "ms": round(answer.seconds * 1000, 2),
        "stages": _stages(answer.headers.get("server-timing", "")),
    }


def _stages(timing: str) -> list[list[Any]]:
    """Read how long each stage took out of a Server-Timing header."""
    parts = [part.strip().partition(";dur=") for part in timing.split(",") if ";dur=" in part]
    return [[stage, float(spent)] for stage, _, spent in parts]


def snippets(endpoint: Endpoint, example: Mapping[str, Any]) -> list[list[str]]:
    """Write how others ask an endpoint; the token is read from its file, and stands in none of them.

    Args:
        endpoint: The endpoint.
        example: A row, by column.

    Returns:
        Pairs of a name and a text: for a shell (bash or zsh), and in Python.
    """
    asked = {"dataframe_split": {"columns": list(example), "data": [list(example.values())]}}
    key = from_home(endpoint.key_file) if endpoint.key_file else "KEY_FILE"
    file = from_home(endpoint.certificate) if endpoint.certificate else ""
    trusted = f"  --cacert {_path(file)} \\\n" if file else ""
    shell = (
        f"curl {shlex.quote(endpoint.url + '/invocations')} \\\n{trusted}"
        f"  -H @<(printf 'Authorization: Bearer %s' \"$(cat {_path(key)})\") \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(orjson.dumps(asked).decode())}"
    )
    context = f", context=ssl.create_default_context(cafile=Path({file!r}).expanduser())" if file else ""
    python = (
        f"import json{', ssl' if file else ''}, urllib.request\nfrom pathlib import Path\n\n"
        f"token = Path({key!r}).expanduser().read_text()\n"
        f"row = {dict(example)!r}\n"
        'asked = {"dataframe_records": [row]}\n'
        'headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}\n'
        f"url = {endpoint.url + '/invocations'!r}\n"
        "request = urllib.request.Request(url, json.dumps(asked).encode(), headers)\n"
        f"with urllib.request.urlopen(request{context}) as answer:\n"
        '    print(json.load(answer)["predictions"])'
    )
    return [["curl", shell], ["Python", python]]


def _path(path: str) -> str:
    """Quote a path for a shell, which is to find the home by itself."""
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)
