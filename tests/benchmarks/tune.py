"""Tuning beside the same Optuna study written by hand: ``make bench NAME=tune``.

Both search the same space for the same metric over the same folds with two processes and one thread each; by
hand the processes share a journal, as Optuna's own guide says. Then the budget: how much of its ``--timeout``
a search takes, the last fit and logging included, in a fresh process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, TRIALS, FOLDS = 20_000, 40, 5

DATA = f"""
import time; began = time.monotonic()
import numpy as np, pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
X, y = make_classification({ROWS}, 20, n_informative=8, flip_y=0.2, random_state=0)
X = pd.DataFrame(X, columns=[f"c{{i}}" for i in range(20)])
model = HistGradientBoostingClassifier(random_state=0)
"""

OURS = (
    DATA
    + """
import json, sys
import mlops_magics
options = json.loads(sys.argv[1])
loaded = time.monotonic()
made = mlops_magics.tune(model, X, y, space="learning_rate=0.01..0.3 log, max_iter=50..150, max_leaf_nodes=7..63 log",
    metric="roc_auc", folds=5, workers=2, **options)
end = time.monotonic()
states = [each.state for each in made.trials]
print(json.dumps({"seconds": end - loaded, "whole": end - began, "score": made.score, "trials": len(states),
    "fits": sum(each.folds for each in made.trials), "pruned": states.count("pruned"), "logged": bool(made.model_id)}))
"""
)

BY_HAND = (
    DATA
    + f"""
import json, multiprocessing
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits
optuna.logging.set_verbosity(optuna.logging.ERROR)
folds = list(StratifiedKFold({FOLDS}, shuffle=True, random_state=0).split(X, y))

def objective(trial):
    params = dict(learning_rate=trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        max_iter=trial.suggest_int("max_iter", 50, 150), max_leaf_nodes=trial.suggest_int("max_leaf_nodes", 7, 63, log=True))
    scores = []
    for fold, (a, b) in enumerate(folds):
        fitted = clone(model).set_params(**params).fit(X.iloc[a], y[a])
        scores.append(roc_auc_score(y[b], fitted.predict_proba(X.iloc[b])[:, 1]))
        trial.report(float(np.mean(scores)), fold)
        if fold + 1 < len(folds) and trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(scores))

def study(seed):
    return optuna.create_study(study_name="s", storage=JournalStorage(JournalFileBackend("by_hand.log")), load_if_exists=True,
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1))

def work(seed):
    with threadpool_limits(1):
        study(seed).optimize(objective, n_trials={TRIALS // 2})

if __name__ == "__main__":
    first = study(0)
    first.enqueue_trial(dict(learning_rate=0.1, max_iter=100, max_leaf_nodes=31))
    loaded = time.monotonic()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(seed,)) for seed in (0, 1)]
    [each.start() for each in workers]
    [each.join() for each in workers]
    best = first.best_params
    clone(model).set_params(**best).fit(X, y)
    end = time.monotonic()
    fits = sum(len(t.intermediate_values) for t in first.trials)
    print(json.dumps({{"seconds": end - loaded, "whole": end - began, "score": first.best_value, "trials": len(first.trials),
        "fits": fits, "pruned": sum(t.state.name == "PRUNED" for t in first.trials)}}))
"""
)


def measured(script: str, *words: str) -> dict[str, float]:
    """Run a script in a fresh project and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".mlops").mkdir()
        Path(folder, "script.py").write_text(script)
        environment = os.environ | {"MLOPS_EXPERIMENT": "bench", "MLOPS_STATE": f"{folder}/state"}
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "script.py", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        return found | {"process": time.monotonic() - began}


def main() -> None:
    """Print all figures."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    for place in range(repeats):
        pair = [("by hand", BY_HAND, ()), ("mlops_tune", OURS, (json.dumps({"trials": TRIALS}),))]
        for name, script, words in pair if place % 2 else pair[::-1]:
            found = measured(script, *words)
            shown = "  ".join(f"{key} {value:.4g}" for key, value in found.items())
            print(f"{name:<12} {shown}  ms a fit {1000 * found['seconds'] / found['fits']:.0f}", flush=True)
    for timeout in (15, 30, 60):
        found = measured(OURS, json.dumps({"trials": 10_000, "timeout": f"{timeout}s"}))
        share = found["seconds"] / timeout
        print(
            f"--timeout {timeout}s took {found['seconds']:.1f} s ({share:.0%}), {found['trials']:.0f} trials",
            flush=True,
        )


if __name__ == "__main__":
    main()
