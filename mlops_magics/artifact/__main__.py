"""``python -m mlops_magics.artifact FOLDER``: try a model folder in this process, answer in JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import orjson

from mlops_magics.artifact.foreign import Opens
from mlops_magics.artifact.proof import run
from mlops_magics.artifact.prover import WAIT
from mlops_magics.artifact.waiting import wait
from mlops_magics.foundation.errors import MLOpsError, RefusedError


def main(words: list[str] | None = None, *, opens: Opens | None = None) -> int:
    """Print one line of JSON: what the model answered, or why it did not.

    Args:
        words: The words of the command line; those of this process by default.
        opens: What lets MLflow load a model that only it can load.

    Returns:
        The exit code: 0, or 1 after an error.
    """
    parser = argparse.ArgumentParser(prog="python -m mlops_magics.artifact", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--allow-pickle", action="store_true")
    parser.add_argument("--allow-code", action="store_true")
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args(words)
    told: dict[str, Any]
    try:
        told = run(
            given.folder,
            allow_pickle=given.allow_pickle,
            allow_code=given.allow_code,
            rows=given.rows,
            opens=opens,
        )
    except MLOpsError as error:
        refused = isinstance(error, RefusedError)
        told = {"error": {"what": error.what, "remedy": error.remedy, "refused": refused}}
    sys.stdout.flush()  # what the model printed comes first
    sys.stdout.buffer.write(b"\n" + orjson.dumps(told, default=str) + b"\n")
    sys.stdout.flush()
    return int("error" in told)


if __name__ == "__main__":
    sys.exit(wait(main, float(sys.argv[2])) if sys.argv[1:2] == [WAIT] else main())
