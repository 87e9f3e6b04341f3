"""A model on disk: read, checked and proved without MLflow."""
