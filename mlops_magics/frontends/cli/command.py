"""The ``mlops`` command: ``mlops <verb> ...`` reads its words by the same signature as the magic does."""

from __future__ import annotations

import contextlib
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
    words = list(sys.argv[1:] if words is None else words)
    asked = _verb(words)
    try:
        answer, code = _answer(words)
        sys.stdout.write(answer)
    except UsageError as error:
        return _told(error, _MISUSED, asked)
    except MLOpsError as error:
        return _told(error, _FAILED, asked)
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
    verb, words = _verb(words), words[1:] if words and not words[0].startswith("-") else words
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


def _verb(words: list[str]) -> str:
    return words[0] if words and not words[0].startswith("-") else "status"


def _signature(verb: str) -> Signature:
    module, _, function = VERBS[verb].partition(":")
    return Signature.of(getattr(importlib.import_module(module), function), _name(verb))


def _name(verb: str) -> str:
    return "mlops" if verb == "status" else f"mlops {verb}"


def _overview() -> str:
    lines = ["mlops VERB ... [--json]", ""]
    for verb in VERBS:
        summary = _signature(verb).document.partition("\n")[0]
        lines.append(f"  {verb:<10} {summary}")
    return "\n".join([*lines, "", "mlops VERB --help shows what a verb takes.", ""])


def _told(error: MLOpsError, code: int, verb: str) -> int:
    """Write the error, and where to read: the verb's help, and the page that explains this error."""
    more = [f"? {_more(error, verb)}"] if verb in VERBS else []
    sys.stderr.write("\n".join((error.what, f"→ {error.remedy}", *more, "")))
    return code


def _more(error: MLOpsError, verb: str) -> str:
    from mlops_magics.foundation.settings import Settings

    base = ""
    with contextlib.suppress(MLOpsError, OSError):  # the error may be about the settings
        base = Settings.discover().docs
    page = error.explained(VERBS[verb].partition(":")[0], base=base)
    helped = f"{_name(verb)} --help shows all that it takes"
    return f"{helped}; {page}" if page else f"{helped}."


if __name__ == "__main__":
    sys.exit(main())
