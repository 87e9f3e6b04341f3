"""What whoever started this process wants to be said of each run that is begun in it."""

from __future__ import annotations

import json
import os
from typing import Final

VARIABLE: Final = "MLFLOW_RUN_CONTEXT"
"""MLflow's own variable for that, a JSON object of tags; MLflow heeds it for runs that it begins itself."""


def context_tags() -> dict[str, str]:
    """Read these tags; none where nobody has set any, or where they are no JSON."""
    try:
        found = json.loads(os.environ.get(VARIABLE, "{}"))
    except ValueError:
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}
