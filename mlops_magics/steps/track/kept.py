"""What is kept with a run beside its cell: helper modules, the machine, seeds, what was printed and drawn.

None of it may fail a cell: what cannot be had is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.modules import imported
from mlops_magics.lineage.seeding import seeds
from mlops_magics.steps.track.body import Body
from mlops_magics.tracking import machine


@dataclass(frozen=True, slots=True)
class Kept:
    """Files of a run that are masked already.

    Attributes:
        files: Their content by path below the run's artifacts.
        tags: What is to be said of the run.
        notes: What was left out.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __or__(self, other: Kept) -> Kept:
        return Kept({**self.files, **other.files}, {**self.tags, **other.tags}, (*self.notes, *other.notes))


def around(body: Body, settings: Settings) -> Kept:
    """Keep what a cell finds: the modules that are imported, the machine, the seeds."""
    kept = Kept()
    with contextlib.suppress(Exception):
        kept |= _machine(body)
    with contextlib.suppress(Exception):
        kept |= _modules(body, settings)
    return kept


def shown(body: Body) -> Kept:
    """Keep what a cell has printed and displayed."""
    if body.shown is None:
        return Kept()
    files: dict[str, bytes] = {}
    notes: tuple[str, ...] = ()
    with contextlib.suppress(Exception):
        seen = body.shown()
        if seen.text:
            files["mlops/output.txt"] = seen.text.encode(errors="replace")
        for place, (ending, content) in enumerate(seen.images, 1):
            files[f"mlops/figures/{place:02d}.{ending}"] = content
        if seen.more:
            count = len(seen.images)
            notes = (f"Of {count + seen.more} figures {count} were kept: at most 20, 10 MB in all.",)
    return Kept(files, {}, notes)


def _machine(body: Body) -> Kept:
    known = dict(machine.hardware())
    known |= {f"seed of {name}": said for name, said in seeds(body.code, body.namespace).items()}
    text = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in known.items())
    return Kept({"mlops/hardware.txt": masked(text).encode()}, {machine.TAG: machine.summary()})


def _modules(body: Body, settings: Settings) -> Kept:
    found = imported(settings.root, body.source.notebook)
    files = {f"mlops/modules/{path}": text for path, text in found.texts.items()}
    if not found.missed:
        return Kept(files)
    count = len(files) + found.missed
    return Kept(files, {}, (f"Of {count} helper modules {len(files)} were kept: at most 200, 2 MB in all.",))
