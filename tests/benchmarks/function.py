"""A function that only MLflow can load, served by us, by MLflow and by six others that know the pipeline in it (needs wrk).

Only mlflow and fastapi-mlflow serve the same files; the others serve the pipeline itself, and do not check what they are sent. The options are those of ``serving.py``.
"""

from serving import run
from side_by_side import main

GOALS = ("Goal: not slower than the best other server, in one row, throughput and batch.",)

main(lambda: run("function", "function", GOALS))
