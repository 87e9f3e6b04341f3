"""What MLflow, its databases and its file stores raise, as sentences with a remedy."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

from mlops_magics.foundation.errors import (
    MissingExtraError,
    MLOpsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from mlops_magics.foundation.masking import masked

_FAMILIES: Final = {
    "mlflow",
    "sqlalchemy",
    "requests",
    "urllib3",
    "sqlite3",
    "botocore",
    "boto3",
    "s3transfer",
}
_EXTRAS: Final = {"psycopg": "postgresql", "boto3": "s3", "botocore": "s3"}
_FILES: Final = {"botocore", "boto3", "s3transfer"}
_REFUSED_BY_S3: Final = {
    *("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    *("ExpiredToken", "InvalidToken", "NoCredentialsError", "PartialCredentialsError"),
}
_FOUND: Final = {"env", "shared-credentials-file", "config-file"}  # keys that boto3 looked for by itself
# PostgreSQL's words for those whom it does not let in; the driver gives no code for them.
_REFUSED_BY_DATABASE: Final = ("authentication failed", "no pg_hba.conf entry", "permission denied", 'role "')

_telling: ContextVar[bool] = ContextVar("telling", default=False)


class _Told(logging.Filter):
    """Drops what MLflow logs of an error that it raises as well, where we are there to say it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass that is no error, or that comes of somebody else's call."""
        return record.levelno < logging.ERROR or not _telling.get()


_TOLD: Final = _Told()


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """Keep MLflow's traceback of a database that failed, a page long, out of the cell: it is raised too."""
    logging.getLogger("mlflow.store.db.utils").addFilter(_TOLD)  # no second one is added
    token = _telling.set(True)
    try:
        yield
    finally:
        _telling.reset(token)


def converted(subject: str, error: Exception) -> MLOpsError | None:
    """Turn what was raised into one of our errors.

    Args:
        subject: What was asked for, as the beginning of a sentence.
        error: What was raised.

    Returns:
        The error to raise; None where it is nothing of the store's.
    """
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return MissingExtraError(error.name, _EXTRAS[error.name])
    family = type(error).__module__.partition(".")[0]
    if family not in _FAMILIES:
        return None
    # An upload that failed, and MLflow's own error, keep what the file store answered behind them.
    answer = next((link for link in _chain(error) if _code(link)), error)
    if family in _FILES or answer is not error:
        return _of_files(subject, _code(answer), _first_line(answer))
    return _of_records(subject, error, _first_line(error))


def _first_line(error: BaseException) -> str:
    return masked(str(getattr(error, "message", None) or error)).splitlines()[0][:300]


def _of_records(subject: str, error: Exception, message: str) -> MLOpsError:
    """Say what a server or a database objects to."""
    code = getattr(error, "error_code", "")
    if code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
        return NotFoundError(f"{subject} is not in the store.", "%mlops shows what there is.")
    if code in {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}:
        return RefusedError(
            f"{subject}: the MLflow server refused ({message}).",
            "Ask the server's administrator for the missing permission, or sign in as another user.",
        )
    if any(sign in message for sign in _REFUSED_BY_DATABASE):
        return RefusedError(
            f"{subject}: the database refused ({message}).",
            "Correct the user and the password in its address, or ask for the missing right.",
        )
    return UnavailableError(
        f"{subject}: the store failed ({message}).",
        "%mlops_doctor looks for the cause; nothing was half-written.",
    )


def _of_files(subject: str, code: str, message: str) -> MLOpsError:
    """Say what a file store of S3's kind objects to."""
    if code in _REFUSED_BY_S3:
        forget_client()
        return RefusedError(
            f"{subject}: the file store refused ({message}).",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for one who may write there.",
        )
    if code in {"NoSuchKey", "404"}:
        return NotFoundError(
            f"{subject}: the file store has no such files ({message}).",
            "They were moved or deleted: restore them, or run the cell again with --force.",
        )
    if code == "NoSuchBucket":
        return UnavailableError(
            f"{subject}: the bucket for its files does not exist ({message}).",
            "Make the bucket, or choose another place with %mlops --artifacts URI and a new experiment.",
        )
    return UnavailableError(
        f"{subject}: the file store failed ({message}).",
        "Look at its address in MLFLOW_S3_ENDPOINT_URL, and whether it runs.",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Go back to what an error came from: an upload that failed keeps the answer there."""
    seen = 0
    while error is not None and seen < 10:  # noqa: PLR2004 - a chain may be a circle
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _code(error: BaseException) -> str:
    """Return S3's code for what is wrong; "" where it is not an answer of its kind."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    name = type(error).__name__
    return name if name in _REFUSED_BY_S3 else ""


def forget_client() -> None:
    """Let the S3 client be made anew: MLflow keeps one for minutes, and boto3 the keys that it found first.

    Without this new keys would not count before the kernel is started again. A session that the user set up
    with keys of its own is left alone.
    """
    module = sys.modules.get("mlflow.store.artifact.s3_artifact_repo")
    with contextlib.suppress(AttributeError):  # its own business; another release may keep none
        module._cached_get_s3_client.cache_clear()  # type: ignore[union-attr]  # noqa: SLF001
    boto3 = sys.modules.get("boto3")
    session = None if boto3 is None else boto3.DEFAULT_SESSION
    if boto3 is None or session is None:
        return
    keys = session.get_credentials()
    if keys is None or keys.method in _FOUND:
        profile = session.profile_name
        boto3.setup_default_session(profile_name=None if profile == "default" else profile)
