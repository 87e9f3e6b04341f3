"""The server process: a predictor that knows no network, and the bare ASGI application around it.

Nothing in here imports MLflow: a worker starts in the time that scikit-learn needs.
"""
