"""A slice as data: which cells to execute, in which folder, on which files, to make its targets again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from mlops_magics.foundation.masking import masked
from mlops_magics.lineage.backward import Slice
from mlops_magics.lineage.execution import Executed
from mlops_magics.lineage.named_files import named_files, own_modules
from mlops_magics.lineage.script import python

_FORMAT = 1
_SHOWN = 200  # characters of a cell in the history
_GONE = -1  # the size of what is not there
_BLOCK = 1 << 20
_SECONDS = 0.5  # for digesting the files that a slice read; what is over is known by its size


@dataclass(frozen=True, slots=True)
class Step:
    """A cell of a recipe.

    Attributes:
        number: When it ran among all cells, from 1.
        source: What the user wrote.
        code: The same as Python, without lines that install packages or turn tracking on.
        ok: Whether it ran to its end.
    """

    number: int
    source: str
    code: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a slice read and did not write itself, or a module of the user's own.

    Attributes:
        path: Its path; from the recipe's folder where it lies below it.
        size: Its size in bytes.
        digest: Of its content; "" where the time did not reach for it.
    """

    path: str
    size: int
    digest: str

    def differs(self, folder: Path) -> str:
        """Say how the file differs now, or "".

        Args:
            folder: The folder that relative paths start from.
        """
        now = _file(folder / self.path, self.path, until=float("inf") if self.digest else 0.0)
        if now.size == _GONE:
            return f"The file {self.path} is not there."
        if now.size != self.size or now.digest != self.digest:
            return f"The file {self.path} has another content than when the run was made."
        return ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that is needed to make the targets again.

    Attributes:
        targets: The names that it makes.
        steps: The cells, in the order in which they ran; the last is the run's own.
        of: How many cells had run.
        futures: Imports from ``__future__`` that hold for all cells.
        files: What it reads.
        folder: Where it ran.
        effect: What running it would do outside its process, or "".
        reasons: Why the notebook as it stands may not make the same again.
        seconds: How long its cells took.
        options: What was asked of the run: its name, metrics, whether pickle is allowed.
        reads: A digest of each value that the run's own cell read, by name; texts are left out.
        history: All cells that had run, in order: number, cell id, whether it succeeded, seconds, sha256 and
            beginning of the source.
        complete: Whether nothing was masked in it.
    """

    targets: tuple[str, ...]
    steps: tuple[Step, ...]
    of: int
    futures: tuple[str, ...] = ()
    files: tuple[InputFile, ...] = ()
    folder: str = ""
    effect: str = ""
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    complete: bool = True

    def to_json(self) -> str:
        """Write it as JSON, without the secrets in its cells."""
        fields = asdict(self)
        for step in (*fields["steps"], *fields["history"]):
            for name in step.keys() & {"source", "code"}:
                text = step[name]
                step[name] = masked(text)
                fields["complete"] &= step[name] == text or step in fields["history"]
        return json.dumps({"format": _FORMAT} | fields, ensure_ascii=False, indent=1)

    @classmethod
    def of_json(cls, text: str) -> Recipe:
        """Read it.

        Raises:
            ValueError: It is none, or one of a later release.
        """
        try:
            fields = json.loads(text)
            if fields.pop("format") != _FORMAT:
                raise ValueError("a recipe of another release")
            steps = tuple(Step(**item) for item in fields.pop("steps"))
            files = tuple(InputFile(**item) for item in fields.pop("files"))
            fields |= {name: tuple(fields[name]) for name in ("targets", "futures", "reasons", "history")}
            return cls(steps=steps, files=files, **fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error


def recipe(
    found: Slice,
    *,
    transform: Callable[[str], str],
    namespace: Mapping[str, object],
    folder: Path,
    options: Mapping[str, Any],
    reads: Mapping[str, str],
    log: Sequence[Executed],
) -> Recipe:
    """Write a slice down as data.

    Args:
        found: The slice.
        transform: Turns a cell's source into Python.
        namespace: The notebook's names.
        folder: Where its cells ran.
        options: What was asked of the run.
        reads: A digest of each value that the run's own cell read, by name.
        log: All cells that had run.
    """
    futures: dict[str, None] = {}
    steps = []
    for item in found.executions:
        code, lines = python(item, transform)
        futures |= dict.fromkeys(lines)
        steps.append(Step(item.number + 1, item.source, code, item.ok))
    return Recipe(
        targets=found.targets,
        steps=tuple(steps),
        of=found.of,
        futures=tuple(futures),
        files=tuple(input_files(found.executions, [step.code for step in steps], namespace, folder)),
        folder=str(folder),
        effect=next(filter(None, map(effect, found.executions)), ""),
        reasons=(*found.reasons, *_secret(steps)),
        seconds=round(sum(item.seconds for item in found.executions), 3),
        options=dict(options),
        reads=dict(reads),
        history=tuple(map(_line, log)),
    )


def _secret(steps: Iterable[Step]) -> Iterator[str]:
    if any(masked(step.source) != step.source for step in steps):
        yield "A secret was taken out of its cells."


def _line(item: Executed) -> dict[str, object]:
    return {
        "number": item.number + 1,
        "cell": item.cell,
        "ok": item.ok,
        "seconds": round(item.seconds, 3),
        "sha256": hashlib.sha256(item.source.encode(errors="replace")).hexdigest(),
        "source": item.source[:_SHOWN],
    }


def effect(item: Executed) -> str:
    """Say what a cell would do outside its process, or ""."""
    if item.files.written or item.files.made:
        return f"It would write {Path(min(item.files.written | item.files.made)).name} once more."
    if item.files.process or item.always.startswith(("runs a shell", "starts a process")):
        return "It would start another program once more."
    if item.files.network:
        return "It would talk to a host once more."
    return "It may write files once more." if item.files.unknown_write else ""


def input_files(
    executions: Iterable[Executed], codes: Sequence[str], namespace: Mapping[str, object], folder: Path
) -> Iterator[InputFile]:
    """Find the files that cells read and did not write themselves, and the user's own modules behind them.

    Args:
        executions: The cells as they ran.
        codes: The same cells as Python.
        namespace: The notebook's names.
        folder: The folder that relative paths start from.
    """
    made: set[str] = set()
    read: dict[str, None] = {}
    for item, code in zip(executions, codes, strict=True):
        named = set(map(str, named_files(code, namespace, folder)))
        read |= dict.fromkeys(sorted((item.files.read | named) - made))
        made |= item.files.written
    read |= dict.fromkeys(sorted(own_modules(codes)))
    until = time.perf_counter() + _SECONDS
    for path in read:
        if not os.path.isdir(path):  # noqa: PTH112 - paths of audit events are text
            shown = os.path.relpath(path, folder) if path.startswith(f"{folder}{os.sep}") else path
            found = _file(Path(path), shown, until=until)
            if found.size != _GONE:  # looked for in vain, or thrown away since
                yield found


def _file(path: Path, shown: str, *, until: float) -> InputFile:
    total = xxhash.xxh3_128()
    size = _GONE
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                if time.perf_counter() > until:
                    return InputFile(shown, size, "")
                total.update(block)
    except OSError:
        return InputFile(shown, size, "")
    return InputFile(shown, size, str(total.hexdigest()))
