"""The doors: magics, widgets, the command line, MLflow plugins. They hold no domain logic."""
