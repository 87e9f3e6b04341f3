"""A command ends with 1 where what was asked for does not hold: a script or CI stops there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.frontends.cli.command import main
from mlops_magics.tracking.records import ModelVersion

Book = Callable[[str], Any]


def test_a_gate_that_fails(
    book: Book, registered: ModelVersion, shell: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registered
    assert book
    shell.user_ns["test"].to_parquet(project / "test.parquet")
    words = ["evaluate", "flights/1", "test.parquet", "--target", "late"]
    assert main(words) == 0
    (project / "gates.toml").write_text("[metrics]\nroc_auc = { min = 0.999 }\n")
    assert main([*words, "--gates", "gates.toml"]) == 1
    assert "quality" in capsys.readouterr().out


def test_a_promotion_that_is_refused(
    book: Book, registered: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registered
    words = ["promote", "flights", "--to", "champion"]
    assert main(["test", "flights/1"]) == 1  # there is none
    with pytest.raises(AssertionError):
        book("%%mlops_test kind --model flights/1\nassert model.predict(test).mean() > 2")
    assert main(["test", "flights/1"]) == 1
    assert main([*words, "--reason", "it is good"]) == 1
    told = capsys.readouterr()
    assert "the gate tests: 0 against a threshold of 1" in told.out + told.err
    book("%%mlops_test kind --model flights/1\nassert model.predict(test).mean() < 2")
    assert main(["test", "flights/1"]) == 0
    assert main(words) != 0  # without a reason
    assert main([*words, "--reason", "it is good"]) == 0
    assert main(["promote", "flights", "--rollback", "--reason", "it is not"]) == 1  # to what?


def test_a_contract_that_is_broken(
    book: Book, registered: ModelVersion, shell: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registered
    book("%mlops_prepare table --target late --contract flights;")
    table = shell.user_ns["table"]
    table.to_parquet(project / "good.parquet")
    table.assign(size="wide").to_parquet(project / "bad.parquet")
    assert main(["prepare", "good.parquet", "--check", "flights"]) == 0
    assert main(["prepare", "bad.parquet", "--check", "flights"]) == 1
    assert "size" in capsys.readouterr().out


def test_a_doctor_that_finds_something_broken(
    book: Book, registered: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registered
    assert book("%mlops_doctor").healthy
    assert main(["doctor"]) == 0
    monkeypatch.setenv("MLOPS_STORE", "http://127.0.0.1:9")
    assert main(["doctor"]) == 1
