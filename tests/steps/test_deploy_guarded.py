"""Deploying with a certificate, further tokens, a unit and a contract, through the road."""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pandas as pd
import pytest
from certificates import make
from mlflow.deployments import get_deploy_client

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError, UsageError
from mlops_magics.tracking.records import ModelVersion

Book = Callable[[str], Any]


@pytest.fixture
def cleaned(book: Book) -> Iterator[None]:
    """Take every endpoint away at the end."""
    yield
    for endpoint in book("%mlops_deploy").endpoints:
        book(f"%mlops_deploy {endpoint.name} --remove")


@pytest.mark.slow
@pytest.mark.usefixtures("cleaned", "registered_twice")
def test_all_that_asks_an_endpoint_does_so_over_tls(book: Book, tmp_path: Path) -> None:
    book('%mlops_promote flights --version 1 --to champion --reason "first"')
    file, key = make(tmp_path / "tls", "localhost", "127.0.0.1")
    live = book(f"%mlops_deploy flights@champion --follow --certificate {file} --private-key {key}")
    assert live.url.startswith("https://127.0.0.1:")
    assert live.certificate == str(file)
    assert "certificate" in live.to_html()
    assert len(book("%mlops_predict flights test").values) == len(book("test"))
    (listed,) = book("%mlops_deploy").endpoints
    assert (listed.status, listed.url) == ("ready", live.url)
    assert "flights" in str(book("%mlops"))
    trusting = ssl.create_default_context(cafile=str(file))
    assert httpx.get(f"{live.url}/health", verify=trusting).json() == {"status": "ok"}
    client = get_deploy_client("mlops-local")
    assert client.get_deployment("flights")["url"] == live.url
    assert len(client.predict("flights", book("test"))) == len(book("test"))
    made = client.create_deployment(
        "mine", "models:/flights/1", config={"certificate": str(file), "private_key": str(key)}
    )
    assert made["url"].startswith("https://")
    assert len(client.predict("mine", book("test"))) == len(book("test"))
    book('%mlops_promote flights --version 2 --to champion --reason "second"')
    deadline = 60.0
    while book("%mlops_deploy").endpoints[0].version != "2":
        assert (deadline := deadline - 0.2) > 0
        book("import time; time.sleep(0.2)")
    assert len(book("%mlops_predict flights test").values) == len(book("test"))


@pytest.mark.usefixtures("cleaned", "registered")
def test_a_certificate_that_does_not_do_is_refused_before_anything_is_served(
    book: Book, tmp_path: Path
) -> None:
    file, key = make(tmp_path / "tls", "localhost", mode=0o644)
    with pytest.raises(RefusedError, match="read by others"):
        book(f"%mlops_deploy flights/1 --certificate {file} --private-key {key}")
    with pytest.raises(UsageError, match="go together"):
        book(f"%mlops_deploy flights/1 --certificate {file}")
    with pytest.raises(UsageError, match="beyond this machine"):
        book("%mlops_deploy flights/1 --host 0.0.0.0")
    with pytest.raises(UsageError, match="guarded where it runs"):
        book(f"%mlops_deploy flights/1 --to kubernetes --certificate {file} --private-key {key}")
    assert book("%mlops_deploy").endpoints == ()


@pytest.mark.usefixtures("cleaned", "registered")
def test_a_certificate_that_ends_is_said_wherever_the_endpoint_is_shown(book: Book, tmp_path: Path) -> None:
    file, key = make(tmp_path / "tls", "localhost", days=5.5)
    live = book(f"%mlops_deploy flights/1 --certificate {file} --private-key {key}")
    assert "ends in 5 days" in live.notes[-1]
    assert "ends in 5 days" in live.watch.look()["remark"]
    for line in ("%mlops_deploy", "%mlops"):
        assert f"{file} ends in 5 days" in str(book(line))
    (finding,) = [each for each in book("%mlops_doctor").findings if each.name == "certificate"]
    assert (finding.outcome, "flights" in finding.told) == ("warning", True)
    make(tmp_path / "tls", "localhost", days=-1)
    assert "clients refuse it" in str(book("%mlops_deploy"))
    diagnosis = book("%mlops_doctor")
    (finding,) = [each for each in diagnosis.findings if each.name == "certificate"]
    assert (finding.outcome, diagnosis.healthy) == ("broken", False)
    assert "Renew it" in str(diagnosis)
    make(tmp_path / "tls", "localhost", days=90)
    assert not [each for each in book("%mlops_doctor").findings if each.name == "certificate"]
    assert "certificate" not in str(book("%mlops_deploy"))


@pytest.mark.usefixtures("cleaned", "registered")
def test_tokens_are_granted_listed_and_revoked(book: Book) -> None:
    live = book("%mlops_deploy flights/1")
    told = book("%mlops_deploy flights --grant dashboard --scopes read")
    assert [(one.name, one.scopes) for one in told.tokens] == [("", ("admin",)), ("dashboard", ("read",))]
    token = Path(told.tokens[1].file).expanduser().read_text()
    assert token not in told.to_html() + str(told)
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{live.url}/metrics", headers=headers).status_code == 200
    assert httpx.post(f"{live.url}/invocations", headers=headers, json={}).status_code == 403
    assert book("%mlops_deploy flights --tokens").tokens == told.tokens
    told = book("%mlops_deploy flights --revoke dashboard")
    assert [one.name for one in told.tokens] == [""]
    assert httpx.get(f"{live.url}/metrics", headers=headers).status_code == 401
    for line, error, message in (
        ("flights --scopes read", UsageError, "says what a new token opens"),
        ("flights --grant x --scopes wirte", UsageError, "knows no 'wirte'"),
        ("flights --revoke nobody", NotFoundError, "no token for nobody"),
        ("flihgts --tokens", NotFoundError, "no endpoint flihgts"),
        ("--tokens", UsageError, "Which endpoint"),
        ("flights --to kubernetes --tokens", UsageError, "knows no tokens"),
        ("flights --to kubernetes --unit x", UsageError, "knows no units"),
        ("flights/1 --to mlserver --contract", UsageError, "knows no contracts"),
        ("flights/1 --to kubernetes --contract", RefusedError, "carries no contract"),
        ("flights/1 --contract", RefusedError, "carries no contract"),
    ):
        with pytest.raises(error, match=message):
            book(f"%mlops_deploy {line}")


@pytest.mark.usefixtures("cleaned", "registered")
def test_a_unit_is_written_with_the_commands_that_follow(book: Book, tmp_path: Path) -> None:
    book("%mlops_deploy flights/1")
    told = book(f"%mlops_deploy flights --unit {tmp_path / 'units'}")
    assert told.file.is_file()
    shown = told.to_html()
    for command in (f"systemctl --user link {told.file}", f"enable {told.unit}", "loginctl enable-linger"):
        assert command in shown
    bare = subprocess.run(
        [sys.executable, "-P", "-m", "mlops_magics.serving", "resume", str(tmp_path / "none.json")],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (bare.returncode, "no endpoint to be started" in bare.stderr) == (2, True)


PREPARE = "%mlops_prepare table --target late --contract delays -o prepared"
FIT = (
    "%%mlops_track -o run\n"
    "from sklearn.tree import DecisionTreeClassifier\n"
    "model = prepared.pipeline(DecisionTreeClassifier(max_depth={depth}, random_state=0))\n"
    "model.fit(prepared.train[prepared.features], prepared.train['late'])"
)


@pytest.mark.usefixtures("cleaned")
def test_the_contract_of_the_version_is_kept_at_the_endpoint(book: Book) -> None:
    book(PREPARE)
    book(FIT.format(depth=3))
    made = book("%mlops_register run flights")
    assert isinstance(made, ModelVersion)
    (_, told) = book("%mlops_deploy flights/1 --contract --plan").differences
    assert (told.what, told.where, told.after.partition(",")[0]) == ("added", "contract", "delays")
    book("%mlops_deploy flights/1 --contract")
    assert book("%mlops_deploy flights/1 --contract --plan").differences == ()
    (lost,) = book("%mlops_deploy flights/1 --plan").differences
    assert (lost.what, lost.where, lost.before) == ("removed", "contract", told.after)
    assert len(book("%mlops_predict flights test").values) == len(book("test"))
    book("strange = test.assign(age=[*[40.0] * (len(test) - 1), 12345.0])")
    with pytest.raises(MLOpsError, match="range") as caught:
        book("%mlops_predict flights strange")
    assert "column 'age'" in caught.value.what
    assert f"row {len(book('test')) - 1}" in caught.value.what
    assert "12345" not in str(caught.value)
    book("town = test.assign(town='Atlantis')")
    with pytest.raises(MLOpsError, match="category") as caught:
        book("%mlops_predict flights town")
    assert "Atlantis" not in str(caught.value)
    deadline = 40.0
    while book("%mlops_deploy flights --traffic 10m").breaches != {"age: range": 1, "town: category": 1}:
        assert (deadline := deadline - 0.2) > 0
        book("import time; time.sleep(0.2)")
    frame = book("%mlops_deploy flights --traffic 10m").frame
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["rule"].dropna()) == {"range", "category"}
    book("%mlops_deploy flights/1 --to container --contract -o written")
    book("%mlops_deploy flights/1 --to kubernetes --image flights:1 --contract")
    told = orjson.loads((Path("deploy") / "flights" / "container" / "served.json").read_bytes())
    made = orjson.loads((Path("deploy") / "flights" / "kubernetes" / "deployment.json").read_bytes())
    (pod,) = made["spec"]["template"]["spec"]["containers"]
    digest = hashlib.sha256(told["contract"].encode()).hexdigest()
    assert {"name": "MLOPS_CONTRACT", "value": f"sha256:{digest}"} in pod["env"]
    with pytest.raises(UsageError, match="contract of the version that is live"):
        book("%mlops_deploy flights/1 --canary 10 --contract")
    assert book("%mlops_deploy flights/1 --contract --shadow 1").beside.startswith("no shadow now")
    book("%mlops_deploy flights/1")  # without the option it is kept no more
    book("%mlops_predict flights strange")
