"""Searching for the best parameters: spaces, folds, worker processes, and the only door to Optuna."""
