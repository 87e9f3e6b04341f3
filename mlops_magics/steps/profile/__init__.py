"""Explain a table: what each column holds, what harms a model, and which portion serves the question."""
