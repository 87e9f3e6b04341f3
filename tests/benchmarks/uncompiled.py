"""Pipelines that no plan is made of, served by us and by seven others: what a model costs that we do not know (needs wrk).

Of ``qda`` the predictor is not known, what stands before it is; of ``ranks`` a step before it is not known, and
it is served as it is. The options are those of ``serving.py``.
"""

from serving import run
from side_by_side import main

GOALS = ("Goals: 4 times the throughput of the best other server; one row not slower than the best of them.",)

main(lambda: run("uncompiled", "qda,ranks", GOALS))
