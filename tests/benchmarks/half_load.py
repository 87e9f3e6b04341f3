"""A load of half of what a server can take, held by wrk for as long as one likes."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
_PEAK_SECONDS = 10
_TRIES, _TRY_SECONDS = 4, 3  # to find the pause that makes half of the peak
_LUA = """local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {token}"
local pause = {pause}
function delay() return pause * (0.5 + math.random()) end
"""


@dataclass(frozen=True)
class Found:
    """What a load found.

    Attributes:
        rate: Requests a second.
        bad: How many were not answered well.
        p50: The middle time to an answer, in milliseconds.
        p99: The time that one in a hundred takes longer than, in milliseconds.
    """

    rate: float
    bad: int
    p50: float
    p99: float


class HalfLoad:
    """Loads one address with one body.

    Args:
        folder: Where its script lies.
        url: The address.
        body: The file that is sent.
        token: The endpoint's token.

    Attributes:
        peak: Requests a second without a pause, once it is known.
    """

    def __init__(self, folder: Path, url: str, body: Path, token: str) -> None:
        self._script = folder / "half.lua"
        self._url = url
        self._told = {"body": body, "token": token}
        self._pause = 0.0
        self.peak = 0.0

    def aim(self) -> None:
        """Find the peak, and the pause between an answer and the next request that makes half of it."""
        self._pause = 0.0
        self.peak = self.run(_PEAK_SECONDS).rate
        self._pause = 1000 * CONNECTIONS / (self.peak / 2)
        for _ in range(_TRIES):
            rate = self.run(_TRY_SECONDS).rate
            self._pause = max(self._pause + 1000 * CONNECTIONS * (2 / self.peak - 1 / rate), 0)

    def run(self, seconds: int) -> Found:
        """Send requests."""
        self._script.write_text(_LUA.format(**self._told, pause=self._pause))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
        command += ["-s", str(self._script), self._url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line for line in said.splitlines() if "Non-2xx" in line or "Socket errors" in line]
        bad = sum(int(number) for line in lines for number in re.findall(r"\d+", line.split(":", 1)[1]))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
        return Found(rate, bad, _ms(said, 50), _ms(said, 99))


def _ms(said: str, share: int) -> float:
    found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", said)
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]
