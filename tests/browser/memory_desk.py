"""A promotion desk without a store, for the card that the real JupyterLab shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.foundation.blocks import Block, Table, Title
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.result import Result, live

_AUC = {"1": 0.871, "2": 0.894, "3": 0.912, "4": 0.702}
_LEAST = 0.85


@dataclass(frozen=True)
class Review(Result):
    model: str = "churn"
    desk: Any = live(default=None)

    def blocks(self) -> Iterable[Block]:
        yield Title(f"{self.model}: {len(_AUC)} versions")
        yield Table(("version", "auc"), [(f"v{name}", auc) for name, auc in _AUC.items()])


@dataclass
class MemoryDesk:
    holders: dict[str, str] = field(default_factory=lambda: {"champion": "2", "candidate": "3"})
    before: list[str] = field(default_factory=lambda: ["1"])
    history: list[dict[str, str]] = field(default_factory=list)

    def look(self, version: str | None, alias: str | None = None) -> dict[str, Any]:
        chosen = version or "3"
        champion = self.holders["champion"]
        good = _AUC[chosen] >= _LEAST
        return {
            "model": "churn",
            "to": alias or "champion",
            "aliases": ["champion", "challenger", "candidate"],
            "holders": dict(self.holders),
            "versions": [self._version(name) for name in reversed(_AUC)],
            "selected": chosen,
            "compare": [
                {
                    "metric": "auc",
                    "candidate": _AUC[chosen],
                    "champion": _AUC[champion],
                    "better": _AUC[chosen] > _AUC[champion] if chosen != champion else None,
                }
            ],
            "gates": [
                {
                    "name": "quality",
                    "verdict": "pass" if good else "fail",
                    "value": _AUC[chosen],
                    "threshold": f"≥ {_LEAST}",
                    "evidence": "test.parquet, 2,000 rows",
                }
            ],
            "history": list(self.history),
            "can": {"promote": good, "roll_back": bool(self.before)},
            "why_not": "" if good else f"Gate quality: auc {_AUC[chosen]} is below {_LEAST}.",
            "message": None,
            "busy": False,
        }

    def details(self, version: str, alias: str) -> dict[str, Any]:
        held = self.holders.get(alias, "")
        blocks = [{"kind": "note", "text": f"auc {_AUC[version]}"}]
        return {"details": {"version": version, "alias": alias, "holder": held, "blocks": blocks}}

    def promote(self, version: str, alias: str, reason: str) -> dict[str, Any]:
        if "forbidden" in reason:
            raise RefusedError("The policy of churn asks for a second approval.", "Ask a reviewer.")
        if "crash" in reason:
            raise ValueError("a secret detail")
        self.before.append(self.holders.get(alias, ""))
        self.holders[alias] = version
        words = f"v{version} is {alias} now."
        return self._moved(version, alias, words, f"v{version} → {alias}", reason)

    def speak(self, version: str, alias: str, reason: str, *, approved: bool) -> dict[str, Any]:
        raise RefusedError(f"Nobody asks for {approved} of {version} before {alias}: {reason}", "Go on.")

    def comment(self, version: str, alias: str, words: str) -> dict[str, Any]:
        raise RefusedError(f"Nobody listens to {words} on {version} before {alias}.", "Go on.")

    def roll_back(self, alias: str, reason: str) -> dict[str, Any]:
        self.holders[alias] = self.before.pop()
        words = f"{alias} is v{self.holders[alias]} again."
        return self._moved(None, alias, words, f"{alias} rolled back", reason)

    def _moved(self, version: str | None, alias: str, words: str, what: str, reason: str) -> dict[str, Any]:
        move = {"when": "2026-11-20T10:00:00Z", "who": "ada", "what": what, "reason": reason}
        self.history.insert(0, move)
        return {**self.look(version, alias), "message": {"tone": "good", "what": words, "remedy": ""}}

    def _version(self, name: str) -> dict[str, Any]:
        return {
            "version": name,
            "aliases": [alias for alias, holder in self.holders.items() if holder == name],
            "run": f"{int(name) * 7919:032x}",
            "made": f"2026-11-1{name}T08:00:00Z",
            "metrics": {"auc": _AUC[name]},
            "format": "skops",
        }
