"""A line for crontab, and the script that it runs: cron cuts long lines, and ``%`` is a line break in it."""

from __future__ import annotations

import shlex

from mlops_magics.steps.retrain.schedule.base import Kind, Plan, Texts, shell

_SCRIPT = """#!/bin/sh
# {name}: ends as the command does; with 124 or 137 where its time was over.
set -eu
cd -- {folder}
# Secrets: one NAME='value' a line, in a file that only you can read (chmod 600).
secrets="${{XDG_CONFIG_HOME:-$HOME/.config}}/mlops-magics/{name}.env"
if [ -f "$secrets" ]; then set -a; . "$secrets"; set +a; fi
{exports}set -- {command}
if command -v timeout >/dev/null 2>&1; then exec timeout -k 60 {timeout} "$@"; fi
exec "$@"
"""


def _files(plan: Plan) -> Texts:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in plan.variables.items())
    script = _SCRIPT.format(
        name=plan.name,
        folder=shlex.quote(str(plan.folder)),
        exports=exports,
        timeout=plan.timeout,
        command=shell(plan.command),
    )
    place = _escaped(shlex.quote(str(plan.place / f"{plan.name}.sh")))
    line = f"{plan.cadence.cron} /bin/sh {place} {_sign(plan)}\n"
    return {f"{plan.name}.sh": script.encode(), f"{plan.name}.crontab": line.encode()}


def _sign(plan: Plan) -> str:
    """Mark the line, for the shell a remark: it is found again by it."""
    return f"# mlops-magics:{plan.name}"


def _escaped(text: str) -> str:
    """Keep a percent sign from ending the command: cron gives what follows one to its stdin."""
    return text.replace("%", "\\%")


def _then(plan: Plan, folder: str) -> tuple[str, ...]:
    file = shlex.quote(f"{folder}/{plan.name}.crontab")
    return (f"(crontab -l 2>/dev/null | grep -v '{_sign(plan)}$'; cat {file}) | crontab -",)


KIND = Kind(_files, _then)
