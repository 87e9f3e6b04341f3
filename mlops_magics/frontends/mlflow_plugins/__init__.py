"""Our targets as `mlflow.deployments` plugins, one class a module."""
