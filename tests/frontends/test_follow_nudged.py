"""The process that watches an alias looks at once when it is told to, however long it would have rested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson

from mlops_magics.artifact.state import Following, State
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

_PATIENT = """
from mlops_magics.frontends.follow import watching
watching._LOOK = 3600.0
from mlops_magics.frontends.follow.__main__ import main
raise SystemExit(main([]))
"""


def test_a_watch_that_is_nudged_looks_at_once(store_file: Path, tmp_path: Path) -> None:
    assert store_file.exists()
    store = open_store(Settings.discover())
    version = registry.create_version(
        store,
        "flights",
        source=str(tmp_path),
        run_id=None,
        model_id=None,
        tags={"mlops.manifest": "sha256:1"},
    )
    me, path = ProcessId.current(), tmp_path / "flights.json"
    state = State(
        name="flights",
        pid=me.pid,
        started=me.started,
        node=me.host,
        host="127.0.0.1",
        port=1,
        model="flights",
        version=version,
        digest="sha256:1",
        workers=(),
        wanted=1,
        status="ready",
        since=0.0,
        follow=Following(alias="champion", mark="1"),
    )
    path.write_bytes(state.to_json())
    job = {
        "name": "flights", "model": "flights", "alias": "champion", "mark": "1", "state": str(path),
        "allow_pickle": False, "allow_code": False,
    }  # fmt: skip
    watch = subprocess.Popen(
        [sys.executable, "-c", _PATIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    with watch:
        assert watch.stdin is not None
        assert watch.stdout is not None
        watch.stdin.write(orjson.dumps(job) + b"\n")
        watch.stdin.flush()
        assert "has no champion any more" in orjson.loads(watch.stdout.readline())["remark"]["what"]
        store.client.set_registered_model_alias("flights", "champion", version)
        watch.stdin.write(b"\n")
        watch.stdin.flush()
        assert orjson.loads(watch.stdout.readline()) == {"version": "", "remark": None}
        watch.stdin.close()
        assert watch.wait(10) == 1
