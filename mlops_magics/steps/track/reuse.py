"""``--reuse``: a cell that ran before on the same values is not executed; what it left is brought back.

All comes back or nothing: the names that it bound, the states of the global random generators, what it
printed. A cell of which that is not certain is executed, and the reason is said.
"""

from __future__ import annotations

import ast
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from mlops_magics.artifact.loading import load
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.lineage import magics
from mlops_magics.lineage.execution import Executed
from mlops_magics.lineage.names import hidden
from mlops_magics.lineage.recipe import InputFile, input_files
from mlops_magics.lineage.recorder import Recorder
from mlops_magics.lineage.restoring import Kept, NotKeptError, chance_state, kept, restored, set_chance_state
from mlops_magics.lineage.values import Fingerprints
from mlops_magics.steps.track.attempt import Outcome, Start
from mlops_magics.steps.track.place import Link, Place
from mlops_magics.tracking import identity, subject
from mlops_magics.tracking.recall import OUTPUT, fetched, fetched_text
from mlops_magics.tracking.records import Dataset, Run

FOLDER: Final = "mlops/reuse"
_LIST: Final = "names.json"
_OWN: Final = frozenset({"random", "numpy"})  # generators whose states can be written down


class NotReusableError(Exception):
    """A cell must be executed; the text says why."""


def keep(start: Start, outcome: Outcome, model: Path | None) -> tuple[dict[str, bytes], str]:
    """Write down what a cell has left, so that it need not be executed again.

    Args:
        start: The cell, which has just been executed.
        outcome: What came of it.
        model: The folder of its model, as it will be kept with the run.

    Returns:
        Files by path below the run's artifacts, and why there are none, or "".
    """
    try:
        return _kept(start, outcome, model), ""
    except NotReusableError as error:
        return {}, str(error)
    except Exception as error:  # noqa: BLE001 - a run is worth more than what might be saved later
        return {}, f"what it left cannot be kept ({type(error).__name__}: {error})"


def _kept(start: Start, outcome: Outcome, model: Path | None) -> dict[str, bytes]:
    recorder, names = start.body.recorder, start.body.namespace
    done = None if recorder is None else recorder.running()
    if recorder is None or done is None:
        raise NotReusableError("nothing recorded what it did")
    _refused(done, start.body.code, recorder, names)
    estimator = None if outcome.fit is None else outcome.fit.estimator
    bound = {}
    later = magics.kept_names(
        "mlops_track", start.body.source.line.split()
    )  # ``-o`` binds its name afterwards
    for name in sorted(done.rebound):
        if hidden(name) or name not in names or name in later:
            continue
        try:
            bound[name] = kept(names[name], name, model=estimator)
        except NotKeptError as error:
            raise NotReusableError(f"{name} {error}") from error
        if bound[name].kind == "model":
            _same_model(bound[name], model)
    about = {
        "names": {
            name: {"kind": item.kind, "digest": item.digest, "text": item.text}
            for name, item in bound.items()
        },
        "files": [asdict(item) for item in input_files([done], [start.body.code], names, Path.cwd())],
        "chance": chance_state() if done.seeded else "",
        "run": {
            "params": dict(outcome.params),
            "chosen": list(outcome.chosen),
            "metrics": dict(outcome.metrics),
            "datasets": [asdict(item) for item in outcome.tables],
            "model_kind": outcome.kind,
            "notes": list(outcome.notes),
        },
    }
    files = {f"{FOLDER}/{item.text}": item.content for item in bound.values() if item.content}
    return files | {f"{FOLDER}/{_LIST}": json.dumps(about).encode()}


def _refused(done: Executed, code: str, recorder: Recorder, names: Mapping[str, object]) -> None:
    """Raise where a cell did more than to bind names from what it read."""
    reasons = {
        f"{', '.join(sorted(done.opaque))} cannot be compared": bool(done.opaque),
        "it reads the clock": done.clock,
        "it draws random numbers that it does not seed": bool(done.drawn) or done.entropy,
        f"it seeds {', '.join(sorted(done.seeded - _OWN))}": bool(done.seeded - _OWN),
        "it writes files": bool(done.files.written or done.files.made or done.files.unknown_write),
        "it looks into folders": bool(done.files.listed),
        "it starts programs": done.files.process,
        "it talks to hosts": done.files.network,
        "it reads the history of cells": done.history,
        f"it {done.always}": bool(done.always),
        f"it changes {', '.join(sorted(done.touched))} in place": bool(done.touched),
        "it deletes names": any(name not in names for name in _deleted(code)),
    }
    for reason, holds in reasons.items():
        if holds:
            raise NotReusableError(reason)
    shared = recorder.shared(done.rebound)
    if shared:
        raise NotReusableError(f"{shared[0]} shares its content with {shared[1]}")


def _deleted(code: str) -> set[str]:
    deletes = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Delete))
    return {item.id for node in deletes for item in node.targets if isinstance(item, ast.Name)}


def _same_model(item: Kept, folder: Path | None) -> None:
    """Raise unless the model's files hold what the name holds."""
    if folder is None:
        raise NotReusableError("its model was not kept")
    try:
        estimator = load(folder).estimator
    except MLOpsError as error:
        raise NotReusableError(f"its model is not in a safe format ({error.what})") from error
    if Fingerprints().of(estimator, "model") != item.digest:
        raise NotReusableError("its model does not come back equal in all")


def brought_back(start: Start, prior: tuple[identity.Known, ...], place: Place) -> tuple[Run | None, str]:
    """Bring back what a cell left when it made a run, instead of executing it.

    Args:
        start: The cell, which is not executed yet.
        prior: The runs of its key.
        place: Where runs go.

    Returns:
        The run; or None, and why the cell must be executed: "" where it never ran on these values.
    """
    link = place.link
    if link is None or not prior:
        return None, ""
    try:
        return _reused(start, prior, link), ""
    except (NotReusableError, MLOpsError) as error:
        return None, str(error).partition("\n")[0].rstrip(".")


def _reused(start: Start, prior: tuple[identity.Known, ...], link: Link) -> Run:
    if len({item.outcome for item in prior}) > 1:
        raise NotReusableError("it came to different outcomes on the same values")
    known, names = prior[0], start.body.namespace
    if known.reuse != "yes":
        raise NotReusableError(
            known.reuse.removeprefix("no: ") or "nothing was kept of it: it ran without --reuse"
        )
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        place = fetched(link.store, known.run_id, FOLDER, Path(folder))
        try:
            about = json.loads((place / _LIST).read_bytes())
            _unchanged(about)
            found = _brought_back(about, place, names, link, known)
            printed = fetched_text(link.store, known.run_id, OUTPUT)
        except NotReusableError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, EOFError) as error:
            raise NotReusableError(
                f"what was kept cannot be read ({type(error).__name__}: {error})"
            ) from error
    names.update(found)
    if about["chance"]:
        set_chance_state(about["chance"])
    sys.stdout.write(printed)  # as the cell did
    return _run(about, names, known, link, start.body.source.mark)


def _unchanged(about: Mapping[str, Any]) -> None:
    changed = (InputFile(**item).differs(Path.cwd()) for item in about["files"])
    if said := next(filter(None, changed), ""):
        raise NotReusableError(f"{said[0].lower()}{said[1:].rstrip('.')}")


def _brought_back(
    about: Mapping[str, Any], place: Path, names: Mapping[str, object], link: Link, known: identity.Known
) -> dict[str, object]:
    """Read the values that the notebook does not hold already; each must be equal to what it was."""
    found: dict[str, object] = {}
    for name, item in about["names"].items():
        if name in names and _digest(names[name], name) == item["digest"]:
            continue
        if item["kind"] == "model":
            value = subject.loaded(link.store, subject.of_run(link.store, known.run_id))
        else:
            file = place / item["text"] if item["kind"] in {"array", "table"} else None
            value = restored(Kept(**item, content=file.read_bytes() if file else b""))
        if _digest(value, name) != item["digest"]:
            raise NotReusableError(f"{name} does not come back equal")
        found[name] = value
    return found


def _digest(value: object, name: str) -> str:
    prints = Fingerprints()
    digest = prints.of(value, name)
    return "" if prints.opaque else digest


def _run(
    about: Mapping[str, Any], names: Mapping[str, object], known: identity.Known, link: Link, mark: str
) -> Run:
    """Say what came of the cell, as the run that it is."""
    repeats = known.repeats
    with suppress(MLOpsError):  # a count that is not written is no reason to execute it
        repeats = identity.attach(link.store, known)
    said = about["run"]
    model = next((name for name, item in about["names"].items() if item["kind"] == "model"), "")
    return Run(
        id=known.run_id,
        name=known.name,
        experiment=link.experiment,
        status="FINISHED",
        params=said["params"],
        chosen=tuple(said["chosen"]),
        metrics=said["metrics"],
        datasets=tuple(Dataset(**item) for item in said["datasets"]),
        model_id=known.model_id,
        model_kind=said["model_kind"],
        notes=tuple(said["notes"]),
        repeats=repeats,
        remark=f"Not executed: what run {known.name} left was brought back; --force executes the cell.",
        estimator=names.get(model),
        outcome=known.outcome,
        cell=mark,
    )
