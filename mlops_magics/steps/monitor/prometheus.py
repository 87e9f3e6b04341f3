"""A monitor's numbers in Prometheus' text form, for the collector that reads files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.serving.metrics import escaped
from mlops_magics.steps.monitor.result import Monitoring

_MOST: Final = 100  # series of one name and place: a wide table must not flood whoever collects them

_HELP: Final = {
    "mlops_monitor_alerts": "Open alerts by kind.",
    "mlops_monitor_drift_effect": "How far a column lies from the rows that the model was fitted on, 0 to 1.",
    "mlops_monitor_metric": "A metric of the model, measured or estimated.",
    "mlops_monitor_requests": "Requests in the time that was looked at.",
    "mlops_monitor_errors": "Refused requests in the time that was looked at, by code.",
    "mlops_monitor_latency_seconds": "Quantiles of the time that answering took, by stage.",
    "mlops_monitor_age_seconds": "How long ago the version was trained.",
}
Sample = tuple[str, dict[str, str], float]


def written(path: Path, seen: Sequence[Monitoring]) -> None:
    """Write the numbers of one or more places into a file, whole or not at all.

    Args:
        path: The file; a collector reads those that end in ``.prom``.
        seen: What was seen.

    Raises:
        UsageError: The file cannot be written.
    """
    try:
        write_atomic(path, rendered(seen))
    except (UnavailableError, OSError) as error:
        told = error.what if isinstance(error, UnavailableError) else f"{path} cannot be written."
        raise UsageError(told, "Choose another file with --prometheus.") from error


def rendered(seen: Iterable[Monitoring]) -> str:
    """Write the numbers of one or more places as text."""
    samples: dict[str, list[Sample]] = {name: [] for name in _HELP}
    for one in seen:
        for sample in _samples(one):
            samples[sample[0]].append(sample)
    lines = []
    for name, held in samples.items():
        if held:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge", *map(_line, held)]
    return "".join(f"{line}\n" for line in lines)


def _samples(one: Monitoring) -> Iterator[Sample]:
    place = {"endpoint": one.place, "model": one.model, "version": one.version}
    kinds = Counter(alert.kind for alert in one.alerts)
    for kind in ("drift", "answers", "performance", "latency", "errors", "contract", "age", "labels"):
        yield "mlops_monitor_alerts", place | {"kind": kind}, float(kinds[kind])
    for column in () if one.drift is None else one.drift.columns[:_MOST]:
        yield "mlops_monitor_drift_effect", place | {"column": column.name}, column.effect
    for number in () if one.performance is None else one.performance.numbers:
        told = {"metric": number.name, "estimated": str(number.estimated).lower()}
        yield "mlops_monitor_metric", place | told, number.value
    if one.journal is not None:
        yield "mlops_monitor_requests", place, float(one.requests)
    for code, count in list(one.errors.items())[:_MOST]:
        yield "mlops_monitor_errors", place | {"code": code}, float(count)
    for stage, times in one.latency.items():
        for share, spent in zip(("0.5", "0.95", "0.99"), times, strict=True):
            yield "mlops_monitor_latency_seconds", place | {"stage": stage, "quantile": share}, spent / 1000
    yield "mlops_monitor_age_seconds", place, one.age


def _line(sample: Sample) -> str:
    name, labels, value = sample
    told = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{told}}} {value if math.isfinite(value) else 'NaN'}"
