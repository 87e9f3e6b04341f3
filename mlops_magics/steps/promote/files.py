"""Are a version's files still those that were registered? Looked at before an alias moves to it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mlops_magics.foundation.errors import MLOpsError, NotFoundError
from mlops_magics.tracking import subject
from mlops_magics.tracking.evaluations import Gate
from mlops_magics.tracking.models import is_folder
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_NAME: Final = "files"


def intact(store: Store, item: ModelVersion) -> Gate:
    """Read a version's files, where they can be read from here, and hold them against its digest.

    Args:
        store: The open store.
        item: The version.

    Returns:
        The verdict. Files that this user or this machine cannot reach are not applicable: who may promote
        need not be let into the place where files lie.
    """
    found = subject.of_version(item)
    try:
        with subject.files(store, found) as folder:
            return _held(found, folder)
    except NotFoundError as error:
        # A folder of some machine may not be of this one; elsewhere what is not there is gone for everybody.
        if not store.local and is_folder(item.source):
            return _unseen(error)
        return Gate(_NAME, "fail", None, None, error.what)
    except MLOpsError as error:
        return _unseen(error)


def _unseen(error: MLOpsError) -> Gate:
    return Gate(_NAME, "not applicable", None, None, f"they cannot be read from here: {error.what}")


def _held(found: subject.Subject, folder: Path) -> Gate:
    try:
        subject.checked(found, folder)
    except MLOpsError as error:
        return Gate(_NAME, "fail", None, None, error.what)
    return Gate(_NAME, "pass", None, None, "those that were registered, each by its sha256")
