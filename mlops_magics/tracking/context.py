"""What whoever started this process wants to be said of each run that is begun in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "MLFLOW_RUN_CONTEXT"
"""MLflow's own variable for that, a JSON object of tags; MLflow heeds it for runs that it begins itself."""


def context_tags(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Read these tags; none where nobody has set any, or where they are no JSON."""
    try:
        found = json.loads(environment.get(VARIABLE, "{}"))
    except ValueError:
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def told_of(environment: Mapping[str, str], name: str, text: str) -> dict[str, str]:
    """Return the variable for a process whose runs shall have one tag more.

    Args:
        environment: The environment that it gets otherwise.
        name: The tag.
        text: What it says.
    """
    return {VARIABLE: json.dumps({**context_tags(environment), name: text})}
