from __future__ import annotations

import subprocess
import sys

from mlops_magics.serving.exchange import request_id

FORKED = """
import os
from mlops_magics.serving.exchange import request_id
request_id({})
child = os.fork()
if child:
    os.waitpid(child, 0)
print(request_id({}), flush=True)
"""


def test_each_request_without_an_id_gets_one_of_its_own() -> None:
    ids = {request_id({}) for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(each) for each in ids} == {32}


def test_two_processes_do_not_give_the_same_ids() -> None:
    told = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert len(set(told.stdout.split())) == 2
