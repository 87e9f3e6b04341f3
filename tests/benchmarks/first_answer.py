"""A registered model to its first correct HTTP answer, against ``mlflow models serve`` of the same files."""

import statistics
import tempfile
from pathlib import Path

from endpoints import mlflow_serve, ours, registered, removed
from side_by_side import main, record

_TIMES, _PEER_TIMES = 20, 5


def run() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as folder:
        bench, before = registered(Path(folder))
        warm, cold, peer = [], [], []
        for turn in range(_TIMES):
            warm.append(ours(bench, standby=True)[0])
            removed(bench)
            if turn < _PEER_TIMES:
                cold.append(ours(bench, standby=False)[0])
                removed(bench)
                with mlflow_serve(bench) as (seconds, _):
                    peer.append(seconds)
        bench.shell.run_line_magic("unload_ext", "mlops_magics")
    median = statistics.median
    p95 = sorted(warm)[round(0.95 * (_TIMES - 1))]
    record(
        "first_answer",
        [
            (
                "From the call to the first correct HTTP answer; a pipeline with HistGradientBoosting, 14 columns, "
                "skops. The standby process never saw the notebook."
            ),
            "",
            "| side | median | p95 | runs |",
            "| --- | --- | --- | --- |",
            f"| `%mlops_deploy`, standby | {median(warm):.2f} s | {p95:.2f} s | {_TIMES} |",
            f"| `%mlops_deploy`, no standby | {median(cold):.2f} s | | {_PEER_TIMES} |",
            f"| `mlflow models serve`, without log_model | {median(peer):.2f} s | | {_PEER_TIMES} |",
            "",
            (
                f"{median(peer) / median(warm):.1f} times quicker with the standby, {median(peer) / median(cold):.1f} "
                f"times without; goals: p95 under 1 s, 10 times. register + promote: {before:.2f} s."
            ),
        ],
    )


main(run)
