"""How long a promotion that is taken back takes: from the call to the first, and the last, right answer.

Two kinds of clients ask all the while: some anew each time, some on a connection that they keep, rarely.
"""

import http.client
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from endpoints import cells, registered, token
from refresh import SECOND, TURNS
from side_by_side import main, record

ROUNDS, LATER = 6, 1
REST, LATE = (
    5.0,
    90.0,
)  # seconds between two rounds; then the process that deploys, and the old workers, are gone
PAUSES = {"each anew": (0.005, False), "kept, busy": (0.005, True), "kept, rare": (0.4, True)}
SETTLED = 4.0  # seconds after a change in which a wrong answer is looked for


class Asks:
    """One client, on a thread of its own; notes when which version answered."""

    def __init__(self, port: int, body: bytes, key: str, pause: float, *, keeps: bool) -> None:
        self.seen: list[tuple[float, str]] = []
        self.failed = 0
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._body, self._pause, self._keeps = body, pause, keeps
        self._heads = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(self._pause):
            try:
                self._line.request("POST", "/invocations", self._body, self._heads)
                answer = self._line.getresponse()
                answer.read()
                self.seen.append((time.perf_counter(), answer.headers["x-model-version"]))
                self.failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self._line.close()
            if not self._keeps:
                self._line.close()
        self._line.close()


def one(bench, clients: dict[str, Asks], turn: str, right: str) -> dict[str, tuple[float, float]]:
    """Move the alias; return by client when it was first answered rightly, and last wrongly."""
    begun = time.perf_counter()
    cells(bench.shell, turn)
    called = time.perf_counter() - begun
    while not all(client.seen and client.seen[-1][1] == right for client in clients.values()):
        time.sleep(0.01)
        assert time.perf_counter() - begun < 120
    time.sleep(SETTLED)
    found = {"the call itself": (called, called)}
    for name, client in clients.items():
        since = [(at - begun, version) for at, version in client.seen if at > begun]
        first = min(at for at, version in since if version == right)
        found[name] = first, max((at for at, version in since if version != right), default=0.0)
    return found


def run() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as name:
        bench, _ = registered(Path(name))
        cells(
            bench.shell,
            SECOND,
            "%mlops_evaluate run test --target late --against bench@champion;",
            "%mlops_register run bench;",
            "%mlops_deploy bench@champion --follow -o live",
        )
        port, key = urlsplit(bench.shell.user_ns["live"].url).port, token(bench)
        clients = {
            kind: Asks(port, bench.body, key, pause, keeps=keeps) for kind, (pause, keeps) in PAUSES.items()
        }
        forth, back = [], {"soon": [], "later": []}
        for turn in range(ROUNDS + LATER):
            forth.append(one(bench, clients, TURNS[0], "2"))
            late = turn >= ROUNDS
            time.sleep(LATE if late else REST)
            back["later" if late else "soon"].append(one(bench, clients, TURNS[1], "1"))
            time.sleep(REST)
        for client in clients.values():
            client.stop()
        cells(bench.shell, "%mlops_deploy bench --remove;")
        bench.shell.run_line_magic("unload_ext", "mlops_magics")
    told = [
        ("the first promotion: of a version that no process has loaded", forth[:1]),
        ("promotions of a version whose workers rest", forth[1:]),
        (f"rollbacks {REST + SETTLED:g} s later", back["soon"]),
        (f"rollbacks {LATE:g} s later", back["later"]),
    ]
    failed = sum(client.failed for client in clients.values())
    record(
        "rollback",
        [
            (
                "`%mlops_promote bench --rollback` in a notebook, with an endpoint that follows the champion on the same "
                f"machine. Seconds from the call to a client's first answer of the right version, and to its last of the "
                f"wrong one; median and worst of so many. Requests that failed: {failed} of "
                f"{sum(len(client.seen) for client in clients.values()):,}."
            ),
            "",
            "| what | how many | client | first right: median | worst | last wrong: median | worst |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(
                f"| {what} | {len(rounds)} | {kind} | {_median(rounds, kind, 0)} | {_worst(rounds, kind, 0)} "
                f"| {_median(rounds, kind, 1)} | {_worst(rounds, kind, 1)} |"
                for what, rounds in told
                for kind in ("the call itself", *PAUSES)
            ),
            "",
            "Goal: a rollback soon after is answered rightly within a second of the call.",
        ],
    )


def _median(rounds: list, kind: str, which: int) -> str:
    return f"{statistics.median(found[kind][which] for found in rounds):.2f} s"


def _worst(rounds: list, kind: str, which: int) -> str:
    return f"{max(found[kind][which] for found in rounds):.2f} s"


if __name__ == "__main__":
    main(run)
