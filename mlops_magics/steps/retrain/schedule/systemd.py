"""A service and its timer, for the user's own systemd."""

from __future__ import annotations

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.retrain.schedule.base import Kind, Plan, Texts

_SERVICE = """[Unit]
Description=mlops-magics: {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={folder}
# Secrets: one NAME=value a line, in a file that only you can read (chmod 600).
EnvironmentFile=-%E/mlops-magics/{name}.env
{variables}ExecStart={command}
TimeoutStartSec={timeout}
KillMode=control-group
NoNewPrivileges=yes
UMask=0077
"""
_TIMER = """[Unit]
Description=mlops-magics: when {name} runs

[Timer]
OnCalendar={calendar}
Persistent=yes
RandomizedDelaySec=60

[Install]
WantedBy=timers.target
"""


def _files(plan: Plan) -> Texts:
    if not plan.command[0].startswith("/"):
        raise UsageError(
            f"systemd does not look for {plan.command[0][:40]!r}.", "Name the program by its absolute path."
        )
    service = _SERVICE.format(
        name=plan.name,
        folder=str(plan.folder).replace("%", "%%"),
        # In Environment= a dollar sign is only itself.
        variables="".join(
            f"Environment={_word(f'{name}={value}', dollars=False)}\n"
            for name, value in plan.variables.items()
        ),
        command=" ".join(map(_word, plan.command)),
        timeout=plan.timeout,
    )
    timer = _TIMER.format(name=plan.name, calendar=plan.cadence.calendar)
    return {f"{plan.name}.service": service.encode(), f"{plan.name}.timer": timer.encode()}


def _word(text: str, *, dollars: bool = True) -> str:
    """Write a word so that systemd reads the same: quotes, backslashes, specifiers, variables."""
    made = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + (made.replace("$", "$$") if dollars else made) + '"'


def _then(plan: Plan, folder: str) -> tuple[str, ...]:
    del folder
    files = " ".join(f"'{plan.place}/{plan.name}.{end}'" for end in ("service", "timer"))
    return (
        f"systemctl --user link {files}",
        f"systemctl --user enable --now {plan.name}.timer",
        "loginctl enable-linger    # it shall run while nobody is logged in",
    )


KIND = Kind(_files, _then)
