"""What three trackers keep of the same notebook: ours, MLflow's autolog, and %%wandb offline. Facts, not times.

Each runs the same cells in an IPython shell of its own environment, in a git repository with an uncommitted
helper module, used as its documentation says. What it kept is then read from its own store.
"""

from __future__ import annotations

from peers import Peer
from side_by_side import fresh, record

WANDB = Peer(
    "wandb",
    (
        "wandb==0.31.0",
        "scikit-learn==1.9.1",
        "pandas==3.1.1",
        "numpy==2.4.6",
        "ipykernel==7.4.0",
        "matplotlib==3.11.2",
    ),
)
BEGIN = '''
import json, os, subprocess, sys, warnings, logging
from pathlib import Path
warnings.simplefilter("ignore"); logging.disable(logging.WARNING)
from jupyter_client.manager import start_new_kernel
sys.path.insert(0, os.getcwd())
for words in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]):
    subprocess.run(["git", *words], check=True)
Path("prep.py").write_text("FACTOR = 2\\n\\ndef prepared(frame):\\n    return frame * FACTOR\\n")
os.environ.update(WANDB_MODE="offline", WANDB_DIR=os.getcwd(), WANDB_NOTEBOOK_NAME="kept.ipynb")
manager, kernel = start_new_kernel(kernel_name="python3", cwd=os.getcwd())

def run(cell, fails=False):
    """Run a cell in a real kernel; return what its result shows as text."""
    said = []
    def hook(message):
        if message["msg_type"] in ("execute_result", "display_data"):
            said.append(message["content"]["data"].get("text/plain", ""))
    reply = kernel.execute_interactive(cell, output_hook=hook, timeout=300)["content"]
    if (reply["status"] == "error") != fails:
        raise RuntimeError(f"{cell[:200]}: {reply.get('evalue')}")
    return "".join(said)

DATA = """
import numpy as np, pandas as pd, prep
import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(20_000, 4)), columns=list("abcd"))
y = (X["a"] + rng.normal(size=20_000) > 0).astype(int)
X = prep.prepared(X)
"""
BODY = """
model = LogisticRegression(C=0.5).fit(X, y)
auc = roc_auc_score(y, model.predict_proba(X)[:, 1])
print("auc is", round(auc, 3))
"""
FAIL = """
model = LogisticRegression(C=0.7).fit(X, y)
raise ValueError("no")
"""
facts = {}

def texts(folder):
    found = {}
    for path in Path(folder).rglob("*"):
        if path.is_file() and path.stat().st_size < 5_000_000:
            found[str(path)] = path.read_text(errors="replace")
    return found

def among(found, text):
    return any(text in content for content in found.values())
'''
OURS = (
    BEGIN
    + """
run("%load_ext mlops_magics")
run("%config MLOps.standby = False")
run("%config MLOps.verify = False")
run(DATA)
run("%mlops_track kept")
from mlflow import MlflowClient
client = MlflowClient("sqlite:///mlflow.db")
def runs():
    return client.search_runs([client.get_experiment_by_name("kept").experiment_id])
for _ in range(3):
    run(BODY)
facts["lines"] = 1
facts["runs_of_3"] = len(runs())
(first,) = runs()
run("X.iloc[-1, 0] += 1e-9"); run(BODY)
facts["runs_of_changed"] = len(runs()) - 1
run(FAIL, fails=True)
facts["failed"] = runs()[0].info.status
kept = texts(client.download_artifacts(first.info.run_id, ""))
facts["cell"] = among(kept, "roc_auc_score(y, model")
facts["helper"] = among(kept, "return frame * FACTOR")
facts["output"] = among(kept, "auc is")
facts["packages"] = among(kept, "scikit-learn==")
facts["commit"] = bool(first.data.tags.get("mlflow.source.git.commit"))
facts["params"], facts["metrics"] = len(first.data.params), sorted(first.data.metrics)
facts["machine"] = "once" if among(kept, "memory") else "no"
facts["digest"] = [item.dataset.digest for item in first.inputs.dataset_inputs] != [
    item.dataset.digest for run_ in runs() if run_.info.run_id != first.info.run_id
    for item in run_.inputs.dataset_inputs][:len(first.inputs.dataset_inputs)]
facts["model"] = bool(first.outputs.model_outputs)
run("np.random.seed()"); run("from sklearn.ensemble import RandomForestClassifier")
run("forest = RandomForestClassifier(5).fit(X, y)")
facts["hidden"] = runs()[0].data.tags["mlops.reproducible.because"]
run(f"%mlops_reproduce {first.info.run_id}")
facts["again"] = client.get_run(first.info.run_id).data.tags["mlops.reproduced"]
kernel.stop_channels(); manager.shutdown_kernel(now=True)
print(json.dumps(facts))
"""
)
AUTOLOG = (
    BEGIN
    + """
run(DATA)
run("import mlflow\\nmlflow.set_tracking_uri('sqlite:///mlflow.db')\\nmlflow.set_experiment('kept')\\nmlflow.autolog(silent=True)")
from mlflow import MlflowClient
client = MlflowClient("sqlite:///mlflow.db")
def runs():
    return client.search_runs([client.get_experiment_by_name("kept").experiment_id])
for _ in range(3):
    run(BODY)
facts["lines"] = 2
facts["runs_of_3"] = len(runs())
first = runs()[-1]
before = len(runs())
run("X.iloc[-1, 0] += 1e-9"); run(BODY)
facts["runs_of_changed"] = len(runs()) - before
second = runs()[0]
run(FAIL, fails=True)
facts["failed"] = runs()[0].info.status
model_id = first.outputs.model_outputs[0].model_id if first.outputs.model_outputs else None
kept = texts(client.download_artifacts(first.info.run_id, ""))
if model_id:
    kept |= texts(mlflow_folder := client.get_logged_model(model_id).artifact_location.removeprefix("file://"))
facts["cell"] = among(kept, "roc_auc_score(y, model")
facts["helper"] = among(kept, "return frame * FACTOR")
facts["output"] = among(kept, "auc is")
facts["packages"] = among(kept, "scikit-learn==")
facts["commit"] = bool(first.data.tags.get("mlflow.source.git.commit"))
facts["params"], facts["metrics"] = len(first.data.params), sorted(first.data.metrics)
facts["digest"] = [i.dataset.digest for i in first.inputs.dataset_inputs] != [i.dataset.digest for i in second.inputs.dataset_inputs]
facts["model"] = bool(model_id)
kernel.stop_channels(); manager.shutdown_kernel(now=True)
print(json.dumps(facts))
"""
)
WANDB_SIDE = (
    BEGIN
    + """
Path("kept.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
run("import wandb")

def records(folder):
    # An offline run is a LevelDB log of protocol buffers.
    import struct
    from wandb.proto import wandb_internal_pb2 as messages
    (path,) = folder.glob("*.wandb")
    raw, at, found = path.read_bytes(), 7, []
    while at + 7 <= len(raw):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        size, kind = struct.unpack("<HB", raw[at + 4 : at + 7])
        body, at = raw[at + 7 : at + 7 + size], at + 7 + size
        if kind == 1 and size:
            record = messages.Record()
            record.ParseFromString(body)
            found.append(record)
    return found

run(DATA)
HEAD = "with wandb.init(project='kept', config={'C': 0.5}, save_code=True) as attempt:\\n"
def cell(body, more=""):
    inside = "".join(f"    {line}\\n" for line in (body.strip() + more).splitlines())
    return "%%wandb\\n" + HEAD + inside
LOGGED = cell(BODY, "\\nattempt.log({'auc': auc})")
def runs():
    return sorted(Path("wandb").glob("offline-run-*"))
for _ in range(3):
    run(LOGGED)
facts["lines"] = 4
facts["runs_of_3"] = len(runs())
first = runs()[0]
before = len(runs())
run("X.iloc[-1, 0] += 1e-9"); run(LOGGED)
facts["runs_of_changed"] = len(runs()) - before
known = set(runs())
run(cell(FAIL))  # its magic swallows what goes wrong
kept = texts(first) | {str(n): str(record) for n, record in enumerate(records(first))}
(ended,) = [record.exit for record in records((set(runs()) - known).pop()) if record.WhichOneof("record_type") == "exit"]
facts["failed"] = "exit code %d" % ended.exit_code
facts["cell"] = among(kept, "roc_auc_score(y, model")
facts["helper"] = among(kept, "return frame * FACTOR")
facts["output"] = among(kept, "auc is")
facts["packages"] = among(kept, "scikit-learn==")
facts["commit"] = any(record.environment.git.commit for record in records(first))
facts["machine"] = "over time"
held = [(record.WhichOneof("record_type"), record) for record in records(first)]
facts["params"] = sum(not item.key.startswith("_") for kind, one in held if kind == "run" for item in one.run.config.update)
facts["metrics"] = sorted({item.nested_key[0] for kind, one in held if kind == "history" for item in one.history.item
                           if item.nested_key and not item.nested_key[0].startswith("_")})
facts["digest"] = facts["model"] = any(kind == "artifact" for kind, _ in held)
kernel.stop_channels(); manager.shutdown_kernel(now=True)
print(json.dumps(facts))
"""
)
ROWS = {
    "lines of tracking code": "lines",
    "runs after the same cell ran three times": "runs_of_3",
    "new runs after one value of 80,000 changed": "runs_of_changed",
    "a cell that fails is": "failed",
    "the cell's code": "cell",
    "an uncommitted helper module": "helper",
    "what was printed": "output",
    "versions of all packages": "packages",
    "the git commit": "commit",
    "the machine's state": "machine",
    "parameters": "params",
    "metrics": "metrics",
    "its digest of the data sees the changed value": "digest",
    "the model": "model",
    "hidden state": "hidden",
    "made again": "again",
}


def main() -> None:
    """Run all three, and record a row a fact."""
    sides = {
        "mlops-magics, automatic": fresh(OURS),
        "mlflow.autolog": fresh(AUTOLOG),
        "%%wandb, offline": fresh(WANDB_SIDE, python=WANDB.python()),
    }
    lines = ["| kept | " + " | ".join(sides) + " |", "| --- | --- | --- | --- |"]
    for row, key in ROWS.items():
        lines.append(f"| {row} | " + " | ".join(_said(facts.get(key)) for facts in sides.values()) + " |")
    print("\n".join(lines))
    record("tracking", lines)


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "no" if value is None else str(value)


if __name__ == "__main__":
    main()
