import json
from pathlib import Path

import pytest

import mlops_magics
from mlops_magics.frontends.cli.command import main
from mlops_magics.road import VERBS

pytestmark = pytest.mark.usefixtures("project")


def test_help_lists_each_verb_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == main(["-h"]) == 0
    out = capsys.readouterr().out
    for verb in VERBS:
        (line, _) = [line for line in out.splitlines() if line.startswith(f"  {verb} ")]
        assert len(line.split()) > 3


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith("mlops" if verb == "status" else f"mlops {verb}")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlops-magics {mlops_magics.__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["deplyo"], "There is no verb 'deplyo'.\n→ Did you mean 'deploy'?"),
        (["--stroe", "x"], "mlops has no option --stroe.\n→ Did you mean '--store'?"),
        (["doctor", "x"], "mlops doctor: there is one word too many: x."),
    ],
)
def test_words_that_are_not_understood_end_with_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert len(err.splitlines()) == (2 if words == ["deplyo"] else 3)


def test_below_an_error_stands_where_to_read(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def last() -> str:
        assert main(["promote", "../x"]) == 2
        return capsys.readouterr().err.splitlines()[-1]

    helped = "? mlops promote --help shows all that it takes"
    assert last() == f"{helped}; mlops --page promote explains it."
    monkeypatch.setenv("MLOPS_DOCS", "https://docs.example.org/")
    assert last() == f"{helped}; https://docs.example.org/promote/ explains it."
    monkeypatch.delenv("MLOPS_DOCS")
    (project / "pyproject.toml").write_text('[tool.mlops_magics]\ndocs = "javascript:alert(1)"\n')
    assert last() == f"{helped}; mlops --page index#the-road explains it."  # it is about the settings now
    (project / "pyproject.toml").unlink()
    assert main(["--page", "promote#a-policy"]) == 0
    assert capsys.readouterr().out.startswith("## A policy\n")


def test_a_failure_ends_with_1_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "http://127.0.0.1:9"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("The MLflow server http://127.0.0.1:9 cannot be reached")


def test_a_result_is_text_or_json(store_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store_file.is_file()
    assert main([]) == 0
    assert "mlflow.db" in capsys.readouterr().out
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["store"] == "mlflow.db"


def test_an_interrupt_ends_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlops_magics.frontends.cli.command._answer", interrupted)
    assert main([]) == 130
