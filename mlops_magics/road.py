"""THE ROAD: each verb, in the order of a model's life, and the function behind it. Imports nothing.

To add a verb, write ``steps/<verb>.py`` and one row here: the magic, the command, the Python name,
help and completion are built from its signature.
"""

VERBS = {
    "profile": "mlops_magics.steps.profile:profile",
    "prepare": "mlops_magics.steps.prepare:prepare",
    "features": "mlops_magics.steps.features:features",
    "track": "mlops_magics.steps.track:track",
    "tune": "mlops_magics.steps.tune:tune",
    "evaluate": "mlops_magics.steps.evaluate:evaluate",
    "test": "mlops_magics.steps.test:test",
    "register": "mlops_magics.steps.register:register",
    "promote": "mlops_magics.steps.promote:promote",
    "deploy": "mlops_magics.steps.deploy:deploy",
    "predict": "mlops_magics.steps.predict:predict",
    "monitor": "mlops_magics.steps.monitor:monitor",
    "retrain": "mlops_magics.steps.retrain:retrain",
    "reproduce": "mlops_magics.steps.reproduce:reproduce",
    "why": "mlops_magics.steps.why:why",
    "recover": "mlops_magics.steps.recover:recover",
    "status": "mlops_magics.steps.status:status",
    "doctor": "mlops_magics.steps.doctor:doctor",
    "ci": "mlops_magics.steps.ci:ci",
}

# Verbs that take a cell: ``%%mlops_<verb>`` above the code that it executes.
CELLS = {
    "track": "mlops_magics.steps.track:record",
    "test": "mlops_magics.steps.test:examine",
}

# Magics whose name is not ``mlops_<verb>``: ``%mlops`` alone is the state of everything.
NAMES = {
    "status": "mlops",
}


def magic_name(verb: str) -> str:
    """Return the name of a verb's magic, without the percent sign."""
    return NAMES.get(verb, f"mlops_{verb}")
