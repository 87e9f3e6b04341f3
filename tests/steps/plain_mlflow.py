"""Models of plain MLflow for tests: a function that only MLflow can load, and what logs one."""

from __future__ import annotations

from mlops_magics.artifact.state import State
from mlops_magics.foundation.settings import Settings

BEGIN = """
import warnings
import pandas as pd
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.pyfunc
from mlflow.models import infer_signature
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store
store = open_store(Settings.discover())
mlflow.set_tracking_uri(store.uri)
mlflow.set_experiment(experiment_id=store.experiment_id("e"))
taken = train[["town", "age"]].dropna()

def log(model, name="theirs", **more):
    with warnings.catch_warnings(), mlflow.start_run():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.log_model(
            name="m", python_model=model, registered_model_name=name, pip_requirements=["numpy"],
            signature=infer_signature(taken, [0]), **more
        )

class Late(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        if (model_input["age"] < 0).any():
            raise RuntimeError(f"s3cr3t {model_input['town'].tolist()}")
        return (model_input["age"] > 45).astype(int).to_numpy()
"""

RANKS = """
import mlflow
import pandas as pd

class Ranks(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame):
        return model_input[["age"]].rank().assign(town=model_input["town"])

mlflow.models.set_model(Ranks())
"""

BOTH = "--allow-pickle --allow-code"


def state_of(name: str = "theirs") -> State:
    """Read what an endpoint's supervisor has written last."""
    (path,) = (Settings.discover().state / "endpoints").glob(f"{name}-*.json")
    found = State.read(path)
    assert found is not None
    return found
