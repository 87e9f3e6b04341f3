"""View models for the card's own tests, as the kernel would send them."""

from __future__ import annotations

from typing import Any

State = dict[str, Any]


def ready(**changes: Any) -> State:
    """A candidate that every gate lets through."""
    state: State = {
        "model": "churn",
        "to": "champion",
        "aliases": ["champion", "challenger", "candidate"],
        "holders": {"champion": "2", "candidate": "3"},
        "versions": [version("3", "candidate"), version("2", "champion"), version("1")],
        "selected": "3",
        "compare": [
            compared("auc", 0.9124, 0.8943, better=True),
            compared("log_loss", 0.3121, 0.3307, better=True),
            compared("recall at 10 %", 0.6133, 0.6204, better=False),
            compared("latency p99, ms", 11.2, 11.2, better=None),
        ],
        "gates": [
            gate("quality", "pass", 0.9124, "≥ 0.85", "auc on test.parquet, 2,000 rows"),
            gate("latency", "pass", "11.2 ms", "≤ 50 ms", "p99 of 500 calls"),
            gate("leakage", "pass", 0.02, "≤ 0.1", "strongest single column: tenure"),
            gate("fairness", "not applicable", None, None, "the policy names no group"),
        ],
        "history": [
            {
                "when": "2026-11-02T09:14:00Z",
                "who": "ada",
                "what": "v2 → champion",
                "reason": "Fewer false alarms in the pilot",
            },
            {
                "when": "2026-10-11T16:40:00Z",
                "who": "grace (unverified)",
                "what": "v1 → champion",
                "reason": "First model",
            },
        ],
        "can": {"promote": True, "roll_back": True},
        "why_not": "",
        "message": None,
        "busy": False,
        "click": "",
    }
    return state | changes


def failing() -> State:
    """A candidate that one gate stops."""
    gates = ready()["gates"]
    gates[0] = gate("quality", "fail", 0.8312, "≥ 0.85", "auc on test.parquet, 2,000 rows")
    return ready(
        gates=gates,
        compare=[compared("auc", 0.8312, 0.8943, better=False)],
        can={"promote": False, "roll_back": True},
        why_not="Gate quality: auc 0.8312 is below 0.85.",
    )


def reviewing() -> State:
    """A candidate that waits for the approval of the one who looks."""
    waiting = gate("approvals", "fail", 1, "2", "approved by grace; not yet heard: ada")
    return ready(
        gates=[*ready()["gates"], waiting],
        can={"promote": False, "roll_back": False, "approve": True, "comment": True},
        why_not="churn/3 fails the gate approvals: 1 against a threshold of 2.",
    )


def no_right() -> State:
    """A reader who may look and do nothing else."""
    return ready(
        can={"promote": False, "roll_back": False},
        why_not="You may read churn, not move its aliases: ask a manager of the model.",
    )


def empty() -> State:
    return ready(versions=[], selected="", compare=[], gates=[], history=[], holders={})


def many(count: int) -> State:
    names = [str(number) for number in range(count, 0, -1)]
    versions = [version(name, *(["champion"] if name == "2" else [])) for name in names]
    return ready(versions=versions, selected=names[0])


def version(name: str, *aliases: str) -> State:
    return {
        "version": name,
        "aliases": list(aliases),
        "run": f"{int(name) * 104729:032x}"[::-1],
        "made": f"2026-{10 + int(name) % 2}-{1 + int(name) % 27:02}T08:00:00Z",
        "metrics": {"auc": 0.87 + int(name) % 7 / 100, "log_loss": 0.33},
        "format": "skops",
    }


def compared(metric: str, candidate: float, champion: float | None, *, better: bool | None) -> State:
    return {"metric": metric, "candidate": candidate, "champion": champion, "better": better}


def gate(name: str, verdict: str, value: object, threshold: object, evidence: str) -> State:
    return {"name": name, "verdict": verdict, "value": value, "threshold": threshold, "evidence": evidence}
