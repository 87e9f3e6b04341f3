"""Files of state as they were written before they had numbers; and those of a release that is to come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_magics.artifact.guard import Token, read_tokens, write_tokens
from mlops_magics.artifact.order import Mail, Order
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.forms import NewerFormError
from mlops_magics.targets.local_files import Depot
from mlops_magics.tracking.drafts import Draft

# Written by that release itself, not by this one.
ORDER = (
    '{"name":"flights","host":"127.0.0.1","port":0,"model_path":"models/1","model":"flights","version":"1",'
    '"digest":"sha256:bb","token_sha256":"cc","state_path":"endpoints/flights.json","log_path":"logs/flights.log",'
    '"allow_pickle":false,"allow_code":false,"workers":2,"limits":{"body_bytes":16777216,"rows":100000,'
    '"queue":1024,"seconds":30.0},"journal":{"folder":"journals/flights","leave_out":["mail"],"whole":false,'
    '"days":30.0,"most_bytes":2147483648},"tokens":[{"sha256":"aa","scopes":["read"],"name":"dashboard",'
    '"made":"2026-11-27T10:00:00+00:00"}],"certificate":null,"contract":"","follow":{"alias":"champion",'
    '"mark":"m"},"beside":null}'
)
STATE = (
    '{"name":"flights","pid":12,"started":1.5,"node":"here","birth":"boot:1","host":"127.0.0.1","port":8000,'
    '"model":"flights","version":"1","digest":"sha256:bb","workers":[13,14],"wanted":2,"engine":"plan",'
    '"status":"ready","error":null,"since":2.0,"change":{"change":"x","status":"live","port":0,"error":null},'
    '"follow":{"alias":"champion","mark":"m","pid":0,"version":"","remark":null},"beside":null,'
    '"certificate":null}'
)
MAIL = '{"do":"drop","change":"x","order":null}'
TOKENS = '[{"sha256":"aa","scopes":["read"],"name":"dashboard","made":"2026-11-27T10:00:00+00:00"}]'
DRAFT = (
    '{"experiment": "e", "name": "baseline", "begun": 1700000000000, "tags": {"a": "b"}, "files": {}, '
    '"kept": {}, "params": {"C": "1"}, "metrics": {"auc": 0.5}, "datasets": [], "status": "FINISHED", '
    '"ended": 1700000001000, "form": "", "kind": "", "run_id": null, "forced": false, "key": "kk"}'
)
KINDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "order": (ORDER, Order.from_json),
    "state": (STATE, State.from_json),
    "mail": (MAIL, Mail.from_json),
    "draft": (DRAFT, Draft.of_json),
}


def _again(made: object) -> str:
    text = made.to_json()  # type: ignore[attr-defined]
    return text if isinstance(text, str) else text.decode()


def _holds(now: object, then: object) -> bool:
    """Tell whether all that was said then is said now; what is said beside it came later."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and _holds(now[key], then[key]) for key in then)
    return bool(now == then)


@pytest.mark.parametrize("kind", KINDS)
def test_an_earlier_file_is_read_and_written_with_a_number(kind: str) -> None:
    text, read = KINDS[kind]
    made = read(text)
    told = json.loads(_again(made))
    assert told.pop("format") == 1
    assert _holds(told, json.loads(text)), "nothing of it was lost"
    assert read(_again(made)) == made


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_to_come_is_refused_with_what_to_do(kind: str) -> None:
    text, read = KINDS[kind]
    with pytest.raises(NewerFormError, match="form 7; here 1") as refused:
        read(json.dumps({"format": 7, **json.loads(text), "something": "new"}))
    assert "pip install --upgrade mlops-magics" in refused.value.remedy


@pytest.mark.parametrize("number", [True, -1, "1", None, 1.5])
def test_what_is_no_number_is_damaged(number: object) -> None:
    with pytest.raises(MLOpsError, match="no number of a form"):
        Order.from_json(json.dumps({"format": number, **json.loads(ORDER)}))


def test_an_earlier_file_of_tokens_is_read_and_a_newer_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "flights.json.tokens"
    file.write_text(TOKENS)
    (token,) = read_tokens(file)
    assert token == Token(sha256="aa", scopes=("read",), name="dashboard", made="2026-11-27T10:00:00+00:00")
    write_tokens(file, [token])
    assert json.loads(file.read_text())["format"] == 1
    assert read_tokens(file) == (token,)
    file.write_text('{"format": 2, "doors": []}')
    with pytest.raises(NewerFormError, match="file of tokens"):
        read_tokens(file)


def test_a_state_that_is_to_come_is_no_missing_one_and_its_model_stays(tmp_path: Path) -> None:
    endpoints, kept = tmp_path / "endpoints", tmp_path / "models" / "bb"
    endpoints.mkdir()
    kept.mkdir(parents=True)
    file = endpoints / "flights.json"
    file.write_text(json.dumps({"format": 2, **json.loads(STATE)}))
    with pytest.raises(NewerFormError):
        State.read(file)
    Depot(tmp_path).prune()
    assert kept.is_dir()
    file.write_text("{")
    assert State.read(file) is None
