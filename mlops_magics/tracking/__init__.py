"""The only door to MLflow: stores, runs, models, the registry and its history."""
