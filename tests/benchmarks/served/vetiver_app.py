"""The pipeline behind vetiver, as its documentation has it: ``uvicorn vetiver_app:app``."""

import os
from pathlib import Path

import joblib
import vetiver
from train import pipelines, table

folder, name = Path(os.environ["MODELS"]), os.environ["MODEL"]
columns = pipelines()[name][1]
model = vetiver.VetiverModel(
    joblib.load(folder / f"{name}.joblib"), name, prototype_data=table()[0][columns].head(100)
)
app = vetiver.VetiverAPI(model, check_prototype=True).app
