"""The pipeline behind fastapi-mlflow, as its documentation has it: ``uvicorn fastapi_mlflow_app:app``."""

import os

import mlflow.pyfunc
from fastapi_mlflow.applications import build_app

app = build_app(mlflow.pyfunc.load_model(f"{os.environ['MODELS']}/mlflow_{os.environ['MODEL']}"))
