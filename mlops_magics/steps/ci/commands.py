"""The commands of a workflow's jobs. No word of a user's is in them: those come as variables."""

from __future__ import annotations

from typing import Final

_RUN: Final = 'mlops ci --run --notebooks "$NOTEBOOKS" --timeout "$TIMEOUT"'
NEEDS_STORE: Final = (
    ': "${MLOPS_STORE:?The secret MLOPS_STORE is not set: it holds the address of the store.}"'
)


def validate(summary: str, comment: str) -> str:
    """Validate the notebooks that something changed for, on a store that is thrown away.

    Args:
        summary: Where the summary goes, as the shell reads it.
        comment: Where the comment for the change goes, likewise.
    """
    return f'{_RUN} --since "$SINCE" --summary {summary} --comment {comment}'


def register(summary: str, outputs: str, *, model: bool) -> str:
    """Run the notebooks that changed since the last time, on the real store.

    Args:
        summary: Where the summary goes, as the shell reads it.
        outputs: Where the number of a new version goes, likewise.
        model: Whether a model is named.
    """
    told = f' --model "$MODEL" --outputs {outputs}' if model else ""
    return f"{_RUN} --register --since last --summary {summary}{told}"


PROMOTE: Final = 'mlops promote "$MODEL" --version "$VERSION" --to champion --reason "$REASON"'
