"""One frozen Settings, made at the edge and passed down.

What is said later in this list loses to what is said earlier: a flag, ``%config MLOps`` and
``%mlops --store`` (both kept as ``MLOPS_*`` variables of the process, so that processes it starts
agree with it), the environment (``MLOPS_*``, then ``MLFLOW_*``), ``[tool.mlops_magics]`` in the
project's ``pyproject.toml``, the default.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_magics.foundation.errors import UsageError, nearest
from mlops_magics.foundation.pages import is_address

_TRUE = frozenset({"1", "true", "yes", "on"})
_DAY = 86_400
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things are and how they behave.

    Attributes:
        root: The project's root: the nearest folder upwards with ``.mlops/``, a
            ``[tool.mlops_magics]`` table or ``.git``; else the folder it was asked from.
        store: The MLflow tracking address; SQLite at the root unless something else is said.
        artifacts: Where the files of new experiments go, such as ``s3://bucket/folder``; None leaves that
            to the store: beside a SQLite file, the server's own place, the project's root for a database.
        experiment: The MLflow experiment that runs go to; None until one is named.
        notebook: The notebook that runs, where a runner of ours says so.
        state: This user's folder for tokens, endpoints and locks (0700).
        standby: Whether a warm process may wait for a deployment.
        verify: Whether the cells that made a run are executed once more in the background, as its proof;
            not by default where ``CI`` says that nobody is there.
        tested: The model that behaviour tests are run on in place of the one that each names, where a
            runner of ours says so.
        docs: The address of the published documentation, to which errors lead; "" for what the package's
            metadata say, and its own pages where they say nothing.
        reserve: For how many seconds the workers of the version before rest behind an endpoint that follows
            an alias, so that it goes back at once; 0 lets them end.
        slo: The rules of service that the project sets, ``[tool.mlops_magics.slo]``, as they are written.
    """

    root: Path
    store: str
    artifacts: str | None = None
    experiment: str | None = None
    notebook: str | None = None
    state: Path
    standby: bool = True
    verify: bool = True
    tested: str | None = None
    docs: str = ""
    reserve: float = 60.0
    slo: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def discover(cls, start: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        """Find the settings that hold here.

        Args:
            start: The folder to look from; the current one by default.
            environ: The environment; the process's by default.

        Returns:
            The settings.

        Raises:
            UsageError: ``pyproject.toml`` or a variable says something that is not understood.
        """
        environ = os.environ if environ is None else environ
        root = project_root(start or Path.cwd())
        whole = _project_table(root)
        table = {key: str(value) for key, value in whole.items() if key != "slo"}
        state = environ.get("MLOPS_STATE")
        return cls(
            root=root,
            store=(
                environ.get("MLOPS_STORE")
                or environ.get("MLFLOW_TRACKING_URI")
                or _from_root(root, table.get("store", ""))
                or f"sqlite:///{root / 'mlflow.db'}"
            ),
            artifacts=environ.get("MLOPS_ARTIFACTS") or table.get("artifacts"),
            experiment=(
                environ.get("MLOPS_EXPERIMENT")
                or environ.get("MLFLOW_EXPERIMENT_NAME")
                or table.get("experiment")
            ),
            notebook=environ.get("MLOPS_NOTEBOOK"),
            state=Path(state) if state else _user_state(),
            standby=_flag("standby", environ.get("MLOPS_STANDBY") or table.get("standby") or "true"),
            verify=_flag(
                "verify",
                environ.get("MLOPS_VERIFY")
                or table.get("verify")
                or ("false" if environ.get("CI") else "true"),
            ),
            tested=environ.get("MLOPS_TESTED"),
            docs=_address("docs", environ.get("MLOPS_DOCS") or table.get("docs") or ""),
            reserve=_seconds("reserve", environ.get("MLOPS_RESERVE") or table.get("reserve") or "60"),
            slo=whole.get("slo", {}),
        )

    def with_(self, **changes: object) -> Settings:
        """Make a copy in which some settings differ.

        Args:
            **changes: New values by attribute; None leaves the old value.
        """
        return replace(self, **{key: value for key, value in changes.items() if value is not None})  # type: ignore[arg-type]


def remember(**changes: str) -> None:
    """Keep settings for the rest of this process, and for the processes that it starts.

    Args:
        **changes: ``store``, ``artifacts``, ``experiment``, ``standby``, ``verify``, ``docs`` or ``reserve``,
            as text.
    """
    for name, value in changes.items():
        os.environ[f"MLOPS_{name.upper()}"] = value


def project_root(start: Path) -> Path:
    """Find the project that a folder belongs to.

    Args:
        start: The folder to look upwards from.

    Returns:
        The nearest folder with ``.mlops/``, a ``[tool.mlops_magics]`` table or ``.git``; else ``start``.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        with contextlib.suppress(PermissionError):  # what may not be looked at is nobody's root
            if (folder / ".mlops").is_dir() or (folder / ".git").exists() or _has_table(folder):
                return folder
    return start


def _has_table(folder: Path) -> bool:
    return "[tool.mlops_magics]" in _read(folder / "pyproject.toml")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _project_table(root: Path) -> dict[str, Any]:
    import tomllib  # not at load

    path = root / "pyproject.toml"
    try:
        tool = tomllib.loads(_read(path)).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", "Correct the file.") from error
    table = tool.get("mlops_magics", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"tool.mlops_magics in {path} is not a table.", "Write [tool.mlops_magics].")
    known = {"store", "artifacts", "experiment", "standby", "verify", "docs", "reserve", "slo"}
    for key in table:
        if key not in known:
            raise UsageError(
                f"[tool.mlops_magics] in {path} has no setting '{key}'.",
                nearest(key, known),
            )
    if not isinstance(table.get("slo", {}), dict):
        raise UsageError(f"tool.mlops_magics.slo in {path} is not a table.", "Write [tool.mlops_magics.slo].")
    return table


def _from_root(root: Path, store: str) -> str:
    """Take a relative SQLite path in ``pyproject.toml`` from the root: one store for all its folders."""
    path = store.removeprefix("sqlite:///")
    if path == store or path.startswith((":memory:", "/")) or Path(path).is_absolute():
        return store
    return f"sqlite:///{root / path}"


def _flag(name: str, text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise UsageError(
        f"The setting {name} is '{text}', which is neither true nor false.", "Write true or false."
    )


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _DAY:  # NaN neither
        raise UsageError(
            f"The setting {name} is '{text[:80]}', which is no length of time.",
            "Write seconds, 86400 at most; 0 for none.",
        )
    return seconds


def _address(name: str, text: str) -> str:
    """Take an address that a browser may open: what stands here becomes a link below an error."""
    if text and not is_address(text):
        raise UsageError(
            f"The setting {name} is {text[:80]!r}, which is no address.", "Write https://host/folder/."
        )
    return text


def _user_state() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("mlops-magics", appauthor=False))
