"""Which variables of the environment a notebook gets: what it needs, what is named, no secret by chance."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Final

from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.secrecy import secret_name

MARK: Final = "NOTEBOOK_RUN_MARK"
"""Tells the processes of one execution from all others. Endpoints that a notebook deploys do not get it."""

_PYTHON: Final = frozenset({
    "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "USER", "LOGNAME", "USERNAME", "SHELL",
    "PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV", "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "USERPROFILE", "APPDATA",
    "LOCALAPPDATA", "IPYTHONDIR", "MPLCONFIGDIR", "CI",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
})  # fmt: skip
_FAMILIES: Final = (
    "LC_",
    "JUPYTER_",
    "XDG_",
    "MLOPS_",
    "MLFLOW_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "NUMEXPR_",
    "CUDA_",
)
_STORES: Final = frozenset({"MLOPS_STORE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"})
_ALWAYS: Final = {
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else each kernel prints what debuggers might miss
    "MLOPS_STANDBY": "false",  # nobody is there who would deploy next
}


def surroundings(
    given: Mapping[str, str], allowed: Iterable[str], variables: Mapping[str, str]
) -> dict[str, str]:
    """Choose what a notebook is told of an environment.

    Args:
        given: An environment, usually ``os.environ``.
        allowed: Names, or ``PREFIX*``, of what is handed on as well.
        variables: What is set in any case.

    Returns:
        The environment of the notebook. The store's address is in it, with a password that stands in it: the
        notebook logs there.
    """
    patterns = tuple(allowed)
    kept = {
        name: value
        for name, value in given.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) or _harmless(name, value)
    }
    return {**kept, **_ALWAYS, **variables}


def _harmless(name: str, value: str) -> bool:
    if name in _STORES:
        return True
    known = name.upper() in _PYTHON or name.startswith(_FAMILIES)
    return known and not secret_name(name) and masked(value) == value
