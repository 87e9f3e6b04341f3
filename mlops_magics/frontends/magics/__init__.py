"""Magics, built from the signatures of the steps."""
