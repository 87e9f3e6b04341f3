from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.checks import CHECKS
from mlops_magics.checks.policy import Bounds, Groups, Policy
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError

KNOWN = ("quality", "champion")


def test_a_policy_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(
        'gates = ["quality"]\nmargin = 0.02\nrequire = "better"\nprimary = "f1"\nslice_drop = 0\n'
        "[metrics]\nroc_auc = { min = 0.8 }\nlog_loss = 0.5\n"
    )
    policy = Policy.read(path, KNOWN)
    assert policy.gates == ("quality",)
    assert policy.thresholds == {"roc_auc": Bounds(min=0.8), "log_loss": Bounds(max=0.5)}
    assert (policy.margin, policy.require, policy.primary, policy.slice_drop) == (0.02, "better", "f1", 0.0)
    assert policy.with_thresholds({"f1": 0.3}).thresholds["f1"] == Bounds(min=0.3)
    assert policy.with_thresholds(None) is policy


@pytest.mark.parametrize(
    ("table", "kind", "words"),
    [
        ({"gates": ["qualty"]}, NotFoundError, "Did you mean 'quality'?"),
        ({"gates": "quality"}, UsageError, "not a list"),
        ({"metrics": {"roc_acu": 1}}, NotFoundError, "Did you mean 'roc_auc'?"),
        ({"metrics": 3}, UsageError, "not a table"),
        ({"metrics": {"f1": {"mim": 1}}}, NotFoundError, "Did you mean 'min'?"),
        ({"metrics": {"f1": "__import__('os')"}}, UsageError, "not a number"),
        ({"metrics": {"f1": float("nan")}}, UsageError, "not a number"),
        ({"metrics": {"f1": True}}, UsageError, "not a number"),
        ({"margn": 0.1}, NotFoundError, "Did you mean 'margin'?"),
        ({"margin": -0.1}, UsageError, "above 0"),
        ({"alpha": 0.9}, UsageError, "at most 0.5"),
        ({"alpha": 0}, UsageError, "above 0"),
        ({"require": "luck"}, UsageError, "not worse"),
        ({"primary": "auc"}, NotFoundError, "primary"),
        ({"found_slices": "on"}, UsageError, "found_slices is 'on'"),
        ({"fairness": ["sex"]}, UsageError, "not a table"),
        ({"fairness": {"columns": "sex"}}, UsageError, "not a list of columns"),
        ({"fairness": {"difference": 0.1}}, UsageError, "not a list of columns"),
        ({"fairness": {"column": ["sex"]}}, NotFoundError, "Did you mean 'columns'?"),
        ({"fairness": {"columns": ["sex"], "difference": -0.1}}, UsageError, "0 or more"),
        ({"fairness": {"columns": ["sex"], "difference": "some"}}, UsageError, "not a number"),
        ({"fairnes": {"columns": ["sex"]}}, NotFoundError, "Did you mean 'fairness'?"),
        ({"allow_pickle": "yes"}, UsageError, "true or false"),
        ({"allow_pickle": 1}, UsageError, "true or false"),
    ],
)
def test_what_is_not_understood_is_refused(table: dict[str, Any], kind: type[MLOpsError], words: str) -> None:
    with pytest.raises(kind) as caught:
        Policy.of(table, KNOWN)
    assert words in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ('gates = ["champion"]\n[metrics]\nroc_auc = { min = 0.9 }\n', "quality"),
        ('gates = ["quality"]\nfairness = { columns = ["sex"] }\n', "fairness"),
    ],
)
def test_a_bound_that_no_gate_looks_at_is_refused(tmp_path: Path, text: str, gate: str) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="nothing would look at it") as caught:
        Policy.read(path, CHECKS)
    assert f'Add "{gate}"' in caught.value.remedy
    path.write_text(text.split("\n", 1)[1])  # all gates are asked
    assert Policy.read(path, CHECKS).asks(gate)


def test_files_that_are_no_policy(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Policy.read(tmp_path / "none.toml", KNOWN)
    path = tmp_path / "gates.toml"
    path.write_bytes(b"gates = [\xff")
    with pytest.raises(UsageError):
        Policy.read(path, KNOWN)


def test_the_file_in_the_docs_is_understood_and_shows_the_defaults() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs" / "evaluate.md"
    example = docs.read_text(encoding="utf-8").split("## gates.toml")[1].split("```toml\n")[1].split("```")[0]
    found, default = Policy.of(tomllib.loads(example), CHECKS), Policy()
    shown = {item.name for item in fields(Policy)}
    assert all(name in example for name in shown - {"thresholds"})
    own = {"gates", "require", "top", "list_by", "thresholds", "primary", "slice_drop", "noise_drop"}
    own |= {"fairness"}
    for name in shown - own:
        assert getattr(found, name) == getattr(default, name), name
    gates = docs.read_text(encoding="utf-8").split("## The gates")[1].split("##")[0]
    assert [line.split(" | ")[0] for line in gates.splitlines() if line.startswith("| ")][2:] == [
        f"| {name}" for name in CHECKS.table
    ]


def test_a_policy_is_written_down_and_told_apart() -> None:
    policy = Policy.of(
        {
            "gates": ["quality"],
            "margin": 0.02,
            "top": 5,
            "list_by": "search",
            "metrics": {"roc_auc": {"min": 0.8}},
            "fairness": {"columns": ["sex", "region"], "difference": 0.2},
        },
        KNOWN,
    )
    assert policy.fairness == Groups(("sex", "region"), 0.2)
    assert Policy.of(policy.table(), KNOWN) == policy
    assert Policy.of(Policy().table(), KNOWN) == Policy()
    others = [policy, Policy(), Policy(margin=0.02), policy.with_thresholds({"roc_auc": 0.7})]
    assert len({other.digest for other in others}) == 4
    assert Policy.of(policy.table(), KNOWN).digest == policy.digest
    assert Policy(margin=Policy().margin).digest == Policy().digest
