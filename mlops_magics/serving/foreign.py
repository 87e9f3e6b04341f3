"""The one way from the server to MLflow: for a model that nothing else can load, with both consents.

A worker that serves another model never comes here, and MLflow stays out of its process.
"""

from __future__ import annotations

from pathlib import Path

from mlops_magics.artifact.foreign import Asks


def opened(folder: Path) -> Asks:
    """Let MLflow load a model folder, and trace nothing that the model does.

    Args:
        folder: The model folder.

    Returns:
        What asks the model.

    Raises:
        MLOpsError: It cannot be loaded.
    """
    from mlops_magics.tracking import pyfunc

    pyfunc.untraced()
    return pyfunc.opened_in_place(folder)
