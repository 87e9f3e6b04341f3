"""``python -m mlops_magics.artifact FOLDER``: try a model folder in this process, answer in JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import orjson

from mlops_magics.artifact.proof import run
from mlops_magics.foundation.errors import MLOpsError, RefusedError


def main() -> int:
    """Print one line of JSON: what the model answered, or why it did not.

    Returns:
        The exit code: 0, or 1 after an error.
    """
    parser = argparse.ArgumentParser(prog="python -m mlops_magics.artifact", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--allow-pickle", action="store_true")
    parser.add_argument("--allow-code", action="store_true")
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    told: dict[str, Any]
    try:
        told = run(
            given.folder, allow_pickle=given.allow_pickle, allow_code=given.allow_code, rows=given.rows
        )
    except MLOpsError as error:
        refused = isinstance(error, RefusedError)
        told = {"error": {"what": error.what, "remedy": error.remedy, "refused": refused}}
    sys.stdout.buffer.write(b"\n" + orjson.dumps(told, default=str) + b"\n")
    return int("error" in told)


if __name__ == "__main__":
    sys.exit(main())
