"""A workflow of GitHub Actions: by schedule and by hand, with read rights only."""

from __future__ import annotations

from typing import Any, Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.retrain.schedule.base import Json, Kind, Plan, Texts, forbidden, shell

_CHECKOUT: Final = "actions/checkout@v4.2.2"
_PYTHON: Final = "actions/setup-python@v5.6.0"
_UPLOAD: Final = "actions/upload-artifact@v4.6.2"
_LEAST: Final = 300  # seconds between two runs, on GitHub
_MOST: Final = 360  # minutes of a job, on GitHub
_EXPRESSION: Final = "${{"


def _files(plan: Plan) -> Texts:
    import yaml

    forbidden(plan, _EXPRESSION, "GitHub")
    if plan.cadence.seconds < _LEAST:
        raise UsageError("GitHub runs nothing more often than every 5 minutes.", "Write 5m or more.")
    text = yaml.safe_dump(_workflow(plan), sort_keys=False, width=10_000, allow_unicode=True)
    return {f".github/workflows/{plan.name}.yml": text.encode()}


def _workflow(plan: Plan) -> Json:
    secret = {name: f"${{{{ secrets.{name} }}}}" for name in plan.secrets}
    # The shell takes the command apart; nothing in it is an expression of GitHub's.
    steps: list[Any] = [
        {"uses": _CHECKOUT, "with": {"persist-credentials": False}},
        {"uses": _PYTHON, "with": {"python-version": "3.11", "cache": "pip"}},
        {"name": "Install", "run": "python -m pip install -r requirements.txt"},
        {"name": "Retrain", "run": shell(plan.command), "env": {**plan.variables, **secret}},
        {
            "name": "Keep the executed notebooks",
            "if": "always()",
            "uses": _UPLOAD,
            "with": {
                "name": plan.name,
                "path": ".mlops/executed/",
                "include-hidden-files": True,
                "if-no-files-found": "ignore",
                "retention-days": 30,
            },
        },
    ]
    job = {
        "runs-on": "ubuntu-24.04",
        "timeout-minutes": min(_MOST, -(-plan.timeout // 60) + 10),
        "steps": steps,
    }
    return {
        "name": plan.name,
        "on": {"schedule": [{"cron": plan.cadence.cron}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": plan.name, "cancel-in-progress": False},
        "jobs": {"retrain": job},
    }


def _then(plan: Plan, folder: str) -> tuple[str, ...]:
    secrets = tuple(f"gh secret set {name}" for name in plan.secrets)
    file = f"{folder}/.github/workflows/{plan.name}.yml"
    return (
        f"mkdir -p .github/workflows && cp '{file}' .github/workflows/",
        *secrets,
        f"git add .github/workflows/{plan.name}.yml",
    )


KIND = Kind(_files, _then)
