"""Where an alias points: read without MLflow, and as MLflow would say it."""

from __future__ import annotations

import http.server
import ipaddress
import ssl
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from following import Registry
from servers import mlflow_with_users, signed_in

from mlops_magics.foundation.errors import MLOpsError, UnavailableError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.pointer import Pointed, pointed
from mlops_magics.tracking.store import open_store

CHAMPION = ModelAddress("flights", alias="champion")
NOBODY = (ModelAddress("flights", alias="nobody"), ModelAddress("nothing", alias="champion"))

_ALONE = """
import sys
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.pointer import pointed
from mlops_magics.frontends.follow import watching
print(pointed(Settings.discover(), ModelAddress("flights", alias="champion")).version)
heavy = {"mlflow", "numpy", "pandas", "sqlalchemy", "requests", "IPython", "sklearn", "ssl"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_a_sqlite_store_is_asked_without_mlflow(project: Path, store_file: Path) -> None:
    made = Registry(project)
    versions = [made.add(constant) for constant in (1.0, 2.0)]
    settings = Settings.discover()
    for version in versions:
        made.point(version)
        whole = registry.resolve(open_store(settings), CHAMPION)
        assert pointed(settings, CHAMPION) == Pointed(version, whole.digest)
    assert [pointed(settings, address) for address in NOBODY] == [None, None]
    said = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["2", "[]"]
    made.client.delete_model_version_tag("flights", "2", "mlops.manifest")
    assert pointed(settings, CHAMPION) == Pointed("2", None)
    store_file.unlink()
    with pytest.raises(UnavailableError, match="cannot be read"):
        pointed(settings, CHAMPION)
    assert not store_file.exists()


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Sends whoever asks to another address, and notes who comes there."""

    came: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.came.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/there")  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _certificate(path: Path) -> Path:
    """Write a certificate of 127.0.0.1 for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(key.private_bytes(pem, *form) + made.public_bytes(pem))
    return path


def test_a_server_is_known_by_its_certificate_and_sends_nobody_elsewhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project
    certificate = _certificate(tmp_path / "pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    settings = replace(Settings.discover(), store=f"https://127.0.0.1:{server.server_port}")
    try:
        with pytest.raises(UnavailableError, match="certificate verify failed"):
            pointed(settings, CHAMPION)
        for name, value in (
            ("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate)),
            ("MLFLOW_TRACKING_INSECURE_TLS", "true"),
        ):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                with pytest.raises(UnavailableError, match="it answers 302"):
                    pointed(settings, CHAMPION)
        assert "/there" not in _Elsewhere.came
        assert len(_Elsewhere.came) == 2
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_server_is_asked_as_mlflow_asks_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    with mlflow_with_users(tmp_path / "server", {"ann": "anns-own-word-1"}) as url:
        settings = replace(Settings.discover(), store=url)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with signed_in("ann", "anns-own-word-1"):
            made = Registry(project)
            made.point(made.add(1.0))
            found = pointed(settings, CHAMPION)
            assert found == Pointed("1", made.tags("1")["mlops.manifest"])
            assert pointed(settings, NOBODY[0]) is None
            with pytest.raises(UnavailableError, match="it answers 403"):  # a reader may not know of no model
                pointed(settings, NOBODY[1])
        named = replace(settings, store=url.replace("//", "//ann:anns-own-word-1@"))
        assert pointed(named, CHAMPION) == found
        monkeypatch.setenv("HOME", str(tmp_path))
        for address in (settings, replace(settings, store=url.replace("//", "//ann:another@"))):
            with pytest.raises(UnavailableError, match="it answers 401") as caught:
                pointed(address, CHAMPION)
            assert "another" not in str(caught.value)
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = anns-own-word-1\n"
        )
        assert pointed(settings, CHAMPION) == found
    with pytest.raises(MLOpsError, match="cannot be asked"):
        pointed(settings, CHAMPION)
