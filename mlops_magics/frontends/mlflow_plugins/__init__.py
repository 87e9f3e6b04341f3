"""Our targets as `mlflow.deployments` plugins: one client for all of them, which its address tells which."""
