"""Retrain: a model is made again from fresh data, behind gates."""
