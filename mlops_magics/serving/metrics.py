"""Counters of one worker in Prometheus' text form: buckets are lists of integers, rendered when asked."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlops_magics.serving.lanes import Lane
    from mlops_magics.serving.terms import Terms

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What one worker has answered.

    Args:
        endpoint: The endpoint's name.
        model: The registered model's name.
        version: Its version.
    """

    def __init__(self, endpoint: str, model: str, version: str) -> None:
        self._labels = ",".join(
            f'{name}="{escaped(value)}"'
            for name, value in (("endpoint", endpoint), ("model", model), ("version", version))
        )
        self._endpoint = f'endpoint="{escaped(endpoint)}"'
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0
        self._rows = 0

    def count(self, route: str, status: int) -> None:
        """Count an answer.

        Args:
            route: One of the known routes, or "other": never a path that a client made up.
            status: The answer's HTTP status.
        """
        self._requests[route, status] += 1

    def predicted(self, rows: int, seconds: float) -> None:
        """Count a successful prediction.

        Args:
            rows: How many rows were answered.
            seconds: How long the request took.
        """
        self._rows += rows
        self._seconds += seconds
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1

    def render(self, lanes: Sequence[Lane], terms: Terms | None = None) -> str:
        """Write everything in Prometheus' text form.

        Args:
            lanes: The versions that are served.
            terms: What requests are held against.
        """
        waiting = sum(lane.batcher.waiting for lane in lanes)
        labels = self._labels
        lines = [
            "# HELP mlops_requests_total Answers by route and HTTP status.",
            "# TYPE mlops_requests_total counter",
            *(
                f'mlops_requests_total{{{labels},route="{escaped(route)}",status="{status}"}} {count}'
                for (route, status), count in sorted(self._requests.items())
            ),
            "# HELP mlops_request_seconds Time to answer a successful prediction.",
            "# TYPE mlops_request_seconds histogram",
        ]
        total = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'mlops_request_seconds_bucket{{{labels},le="{bound}"}} {total}')
        lines += [
            f"mlops_request_seconds_sum{{{labels}}} {self._seconds:.6f}",
            f"mlops_request_seconds_count{{{labels}}} {total}",
            "# HELP mlops_rows_total Rows answered.",
            "# TYPE mlops_rows_total counter",
            f"mlops_rows_total{{{labels}}} {self._rows}",
            "# HELP mlops_waiting_requests Requests that wait for the worker.",
            "# TYPE mlops_waiting_requests gauge",
            f"mlops_waiting_requests{{{labels}}} {waiting}",
            "# HELP mlops_version_requests_total Requests by version and outcome.",
            "# TYPE mlops_version_requests_total counter",
            *(
                f'mlops_version_requests_total{{{self._endpoint},version="{escaped(lane.version)}",'
                f'role="{lane.role}",outcome="{outcome}"}} {count}'
                for lane in lanes
                for outcome, count in (("answered", lane.answered), ("failed", lane.failed))
            ),
            *self._breaches(terms),
        ]
        return "\n".join(lines) + "\n"

    def _breaches(self, terms: Terms | None) -> Iterator[str]:
        """Write what broke the contract: the columns are the contract's own, so there are not too many."""
        if terms is None:
            return
        yield "# HELP mlops_contract_breaches_total Requests that broke the data contract."
        yield "# TYPE mlops_contract_breaches_total counter"
        for (column, rule), count in sorted(terms.breaches.items()):
            labels = f'{self._labels},column="{escaped(column)}",rule="{rule}"'
            yield f"mlops_contract_breaches_total{{{labels}}} {count}"


def escaped(value: str) -> str:
    """Write a label's value so that it ends where it should."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", " ")
