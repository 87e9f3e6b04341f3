"""What came to an endpoint and what it answered, read from its journal."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.foundation.files import from_home
from mlops_magics.foundation.result import Result
from mlops_magics.serving.journal import files

STAGES: Final = ("decode", "queue", "predict", "encode")
"""What a request spends its time on, in the order in which it does."""

_SHOWN: Final = 10


@dataclass(frozen=True)
class Rate:
    """How much came to an endpoint of late.

    Attributes:
        requests: How many requests came.
        refused: How many of them were refused, or failed.
        seconds: In which time, up to now.
    """

    requests: int
    refused: int
    seconds: float


@dataclass(frozen=True)
class Stage:
    """How long one stage took, in milliseconds.

    Attributes:
        name: Which stage.
        p50: Half of the requests took at most so long.
        p95: 19 of 20.
        p99: 99 of 100.
    """

    name: str
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Traffic(Result):
    """What came to an endpoint in a length of time, up to now.

    Attributes:
        endpoint: The endpoint's name.
        seconds: How far back it was looked.
        requests: How many requests came.
        rows: How many rows were predicted.
        errors: How many requests were refused, by the error's code.
        versions: How many rows each version answered.
        breaches: How many requests broke the contract, by column and rule (``"age: range"``).
        stages: How long each stage of the answered requests took.
        journal: The folder of parquet files that all this was read from.
        frame: The lines of the journal as a pandas frame: one a row that was predicted, one a refusal.
    """

    endpoint: str
    seconds: float
    requests: int
    rows: int
    errors: dict[str, int]
    versions: dict[str, int]
    breaches: dict[str, int]
    stages: tuple[Stage, ...]
    journal: Path
    frame: Any = field(repr=False, compare=False)

    volatile: ClassVar[bool] = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, without the lines."""
        told = super().to_dict()
        told.pop("frame", None)
        return told | {"journal": from_home(self.journal)}

    def blocks(self) -> Iterable[Block]:
        """Show how much came, how long it took, who answered and what was refused."""
        refused = sum(self.errors.values())
        badge, tone = (f"{refused:,} refused", "bad") if refused else ("", "plain")
        yield Title(f"Traffic of {self.endpoint}", badge, tone)  # type: ignore[arg-type]
        rate = self.requests / self.seconds
        yield Facts(
            [
                ("requests", f"{self.requests:,}, {rate:,.2f} a second over {_length(self.seconds)}"),
                ("rows predicted", f"{self.rows:,}"),
                ("journal", from_home(self.journal)),
            ]
        )
        if self.stages:
            yield Table(
                ("stage", "p50 ms", "p95 ms", "p99 ms"),
                [(stage.name, stage.p50, stage.p95, stage.p99) for stage in self.stages],
            )
        if self.versions:
            yield Table(("version", "rows"), sorted(self.versions.items()))
        if self.errors:
            yield Table(("refused", "requests"), sorted(self.errors.items())[:_SHOWN])
        if self.breaches:
            yield Table(("against the contract", "requests"), sorted(self.breaches.items())[:_SHOWN])
        if not self.requests:
            yield Note("Nothing came in this time.")


def read(name: str, folder: Path | None, seconds: float) -> Traffic:
    """Read an endpoint's journal.

    Args:
        name: The endpoint.
        folder: Where its journal lies; None where it keeps none.
        seconds: How far to look back.

    Raises:
        NotFoundError: It keeps no journal.
    """
    if folder is None:
        raise NotFoundError(f"{name} keeps no journal.", f"Deploy {name} again without --no-journal.")
    lines = _lines(folder, time.time() - seconds)
    return Traffic(endpoint=name, seconds=seconds, journal=folder, frame=lines.to_pandas(), **_counted(lines))


def rate(folder: Path, seconds: float) -> Rate:
    """Count what came to an endpoint of late; of its journal only what is counted is read.

    Args:
        folder: The journal.
        seconds: How far to look back.
    """
    import polars as pl

    since = time.time() - seconds
    if not files.paths(folder, since):  # of a thousand endpoints most may rest
        return Rate(0, 0, seconds)
    asked = _lines(folder, since, "status", "row", "role").filter(pl.col("role") != "shadow")
    refused = asked.filter(pl.col("status") != 200).height  # noqa: PLR2004 - OK
    answered = asked.filter((pl.col("status") == 200) & (pl.col("row") == 0)).height  # noqa: PLR2004 - OK
    return Rate(answered + refused, refused, seconds)


def observed(folder: Path, seconds: float, parts: int) -> dict[str, Any]:
    """Say what came in a length of time, as JSON types.

    Args:
        folder: The journal.
        seconds: How far to look back.
        parts: In how many parts of that time requests are counted.

    Returns:
        The counts of a Traffic, rows by version and role, and how many requests came in each part.
    """
    import polars as pl

    now = time.time()
    lines = _lines(folder, now - seconds)
    told = _counted(lines)
    answered = lines.filter(pl.col("status") == 200)  # noqa: PLR2004 - OK
    names = pl.col("version", "role").cast(pl.String)
    roles = answered.select(names).group_by("version", "role").len().sort("version", "role")
    asked = lines.filter((pl.col("role") != "shadow") & ((pl.col("status") != 200) | (pl.col("row") == 0)))  # noqa: PLR2004 - OK
    moments = asked["time"].dt.epoch("us").to_numpy() / 1e6
    places = ((moments - now + seconds) / seconds * parts).astype(int).clip(0, parts - 1)
    counts = [0] * parts
    for place in places.tolist():
        counts[place] += 1
    return {
        "requests": told["requests"],
        "rows": told["rows"],
        "errors": sorted(map(list, told["errors"].items())),
        "breaches": sorted(map(list, told["breaches"].items())),
        "stages": [[stage.name, stage.p50, stage.p95, stage.p99] for stage in told["stages"]],
        "roles": [list(row) for row in roles.iter_rows()],
        "counts": counts,
    }


def answered_by(folder: Path, request_id: str) -> str | None:
    """Find which version answered a request, in an endpoint's journal, the newest files first.

    Args:
        folder: The journal.
        request_id: The request's id, as ``x-request-id`` of its answer has it.

    Returns:
        The version; None where the journal does not know the request.
    """
    import polars as pl

    for path in reversed(files.paths(folder)):
        try:
            lines = pl.scan_parquet(path).filter(pl.col("request_id") == request_id)
            found = lines.filter(pl.col("role") != "shadow").select("version").head(1).collect()
        except FileNotFoundError:  # put together with others just now
            return answered_by(folder, request_id)
        if found.height:
            return str(found["version"][0])
    return None


def _lines(folder: Path, since: float, *columns: str) -> Any:  # noqa: ANN401 - a Polars frame
    """Read lines, or some columns of them, since a moment; files of several versions may differ in theirs."""
    import polars as pl

    from mlops_magics.serving.journal.entries import no_lines

    bound = pl.lit(int(since * 1e6)).cast(pl.Datetime("us", "UTC"))
    wanted = [*columns, "time"] if columns else [pl.all()]
    frames = [pl.DataFrame(no_lines()).select(wanted)]
    for path in files.paths(folder, since):
        try:
            frames.append(pl.scan_parquet(path).filter(pl.col("time") >= bound).select(wanted).collect())
        except FileNotFoundError:  # put together with others just now: read all anew
            return _lines(folder, since, *columns)
    return pl.concat(frames, how="diagonal_relaxed").sort("time")


def _counted(lines: Any) -> dict[str, Any]:  # noqa: ANN401 - a Polars frame
    import polars as pl

    live = lines.filter(pl.col("role") != "shadow")
    answered = live.filter(pl.col("status") == 200)  # noqa: PLR2004 - OK
    firsts = answered.filter(pl.col("row") == 0)
    refused = live.filter(pl.col("status") != 200)  # noqa: PLR2004 - OK
    return {
        "requests": firsts.height + refused.height,
        "rows": answered.height,
        "errors": _tally(refused, "error"),
        "versions": _tally(answered, "version"),
        "breaches": _breaches(refused),
        "stages": tuple(_stage(name, firsts[f"{name}_ms"].drop_nulls()) for name in STAGES)
        if firsts.height
        else (),
    }


def _tally(lines: Any, column: str) -> dict[str, int]:  # noqa: ANN401 - a Polars frame
    import polars as pl

    words = lines[column].cast(pl.String).value_counts(sort=True)
    return dict(zip(words[column].to_list(), words["count"].to_list(), strict=True))


def _breaches(refused: Any) -> dict[str, int]:  # noqa: ANN401 - a Polars frame
    import polars as pl

    broken = refused.filter(pl.col("rule").is_not_null())
    told = broken.select(name=pl.concat_str(pl.col("column", "rule").cast(pl.String), separator=": "))
    return _tally(told, "name")


def _stage(name: str, spent: Any) -> Stage:  # noqa: ANN401 - a Polars series
    p50, p95, p99 = (spent.quantile(share, "nearest") or 0.0 for share in (0.5, 0.95, 0.99))
    return Stage(name, round(p50, 4), round(p95, 4), round(p99, 4))


def _length(seconds: float) -> str:
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {word}"
    return f"{seconds:g} s"
