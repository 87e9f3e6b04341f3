"""The ``mlops`` command: ``mlops <verb> ...`` reads its words by the same signature as the magic does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from mlops_magics.foundation.errors import MLOpsError, UsageError, nearest
from mlops_magics.frontends.signature import Signature
from mlops_magics.road import VERBS

_FAILED, _MISUSED, _INTERRUPTED = 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: The words after ``mlops``; the process's own by default.

    Returns:
        The exit code: 0 done; 1 it failed, was refused, or does not hold (a gate failed, a contract is
        broken, a run did not come out the same, something is out of order); 2 the words were not understood;
        3 a retrained version was refused by a gate, or rolled back; 130 interrupted.
    """
    words = sys.argv[1:] if words is None else words
    try:
        answer, code = _answer(list(words))
        sys.stdout.write(answer)
    except UsageError as error:
        return _told(error, _MISUSED)
    except MLOpsError as error:
        return _told(error, _FAILED)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _answer(words: list[str]) -> tuple[str, int]:
    """Do what the words ask for; return what to print, and what to end with."""
    if words[:1] in (["-h"], ["--help"]):
        return _overview(), 0
    if words[:1] == ["--version"]:
        from mlops_magics.foundation.version import VERSION

        return f"mlops-magics {VERSION}\n", 0
    verb = words.pop(0) if words and not words[0].startswith("-") else "status"
    if verb not in VERBS:
        raise UsageError(f"There is no verb '{verb}'.", f"{nearest(verb, VERBS)} mlops --help lists them.")
    signature = _signature(verb)
    if signature.asks_help(words):
        return signature.help(), 0
    as_json = "--json" in words
    from mlops_magics.foundation.settings import Settings
    from mlops_magics.frontends.progress import TerminalProgress

    arguments = signature.parse(
        [word for word in words if word != "--json"],
        look_up=lambda text: text,
        given={"Settings": Settings.discover, "Progress": TerminalProgress},
    )
    result = signature.call(arguments)
    return f"{result.to_json() if as_json else result}\n", result.exit_code


def _signature(verb: str) -> Signature:
    module, _, function = VERBS[verb].partition(":")
    name = "mlops" if verb == "status" else f"mlops {verb}"
    return Signature.of(getattr(importlib.import_module(module), function), name)


def _overview() -> str:
    lines = ["mlops VERB ... [--json]", ""]
    for verb in VERBS:
        summary = _signature(verb).document.partition("\n")[0]
        lines.append(f"  {verb:<10} {summary}")
    return "\n".join([*lines, "", "mlops VERB --help shows what a verb takes.", ""])


def _told(error: MLOpsError, code: int) -> int:
    sys.stderr.write(f"{error.what}\n→ {error.remedy}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
