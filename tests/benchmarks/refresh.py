"""Five promotions in a minute at half of the peak: does each request get its answer, and how much slower (needs wrk)?

A minute without a promotion comes before, and another one after.
"""

import tempfile
import threading
import time
from pathlib import Path

from endpoints import cells, registered, token
from half_load import CONNECTIONS, HalfLoad
from side_by_side import main, record

SECONDS, PROMOTIONS = 60, 5
SECOND = """%%mlops_track --name second -o run
second = make_pipeline(columns, HistGradientBoostingClassifier(random_state=0, max_iter=150))
second.fit(train[names], train["late"]);
"""
TURNS = (
    '%mlops_promote bench --version 2 --to champion --reason "to measure";',
    '%mlops_promote bench --rollback --reason "to measure";',
)


def run() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench, _ = registered(folder)
        again = (
            "%mlops_evaluate run test --target late --against bench@champion;",
            "%mlops_register run bench;",
        )
        cells(bench.shell, SECOND, *again, *TURNS, "%mlops_deploy bench@champion --follow -o live")
        body = folder / "one.json"
        body.write_bytes(bench.body)
        url = f"{bench.shell.user_ns['live'].url}/invocations"
        load = HalfLoad(folder, url, body, token(bench))
        load.aim()
        before = load.run(SECONDS)
        minute: list = []
        thread = threading.Thread(target=lambda: minute.append(load.run(SECONDS)))
        thread.start()
        for turn in range(PROMOTIONS):
            time.sleep(SECONDS / (PROMOTIONS + 1))
            cells(bench.shell, TURNS[turn % 2])
        thread.join()
        after = load.run(SECONDS)
        cells(bench.shell, "one = test[names].head(1)", "%mlops_predict bench one -o said")
        served = bench.shell.user_ns["said"].version
        cells(bench.shell, "%mlops_deploy bench --remove;")
        bench.shell.run_line_magic("unload_ext", "mlops_magics")
    named = {"before": before, "five promotions": minute[0], "after": after}
    usual = (before.p99 + after.p99) / 2
    record(
        "refresh",
        [
            (
                f"`%mlops_deploy bench@champion --follow`, one worker, one row of 14 columns a request, {CONNECTIONS} "
                f"connections; peak {load.peak:,.0f} requests a second. Promotions and roll-backs in turn, in a "
                f"notebook on the same machine; version {served} answered in the end."
            ),
            "",
            "| a minute | requests/s | not answered well | p50 | p99 |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {what} | {one.rate:,.0f} | {one.bad} | {one.p50:.2f} ms | {one.p99:.2f} ms |"
                for what, one in named.items()
            ),
            "",
            f"p99 with promotions: {minute[0].p99 / usual - 1:+.0%}; goals: each answered, under 20 % more.",
        ],
    )


if __name__ == "__main__":
    main(run)
