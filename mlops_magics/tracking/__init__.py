"""The only door to MLflow: stores, runs, models, the registry and its history."""

import os

# MLflow tells its makers what it is used for, unless it is told not to before it is imported. Nobody who
# loads these magics has agreed to that; who wants it says so by the same variable.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
