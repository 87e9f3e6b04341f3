"""The server process: a predictor that knows no network, and the bare ASGI application around it.

Nothing in here imports MLflow: a worker starts in the time scikit-learn needs, and holds no more memory than that.
"""
