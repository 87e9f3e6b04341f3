"""What IPython's magics and shell lines mean, in a cell's transformed source."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

_BODY = {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "mlops_track"}
_HARMLESS = {
    "matplotlib", "config", "who", "whos", "who_ls", "history", "pwd", "ls", "lsmagic", "pinfo",
    "pinfo2", "pdoc",
    "psource", "precision", "less", "more", "cat", "head", "mlops_track", "html", "HTML", "javascript",
    "js", "svg",
    "latex", "markdown", "xmode", "colors", "pprint", "page", "quickref", "debug", "pdb", "tb",
}  # fmt: skip
_SETTINGS = {
    "cd", "env", "set_env", "pip", "conda", "mamba", "uv", "load_ext", "reload_ext", "unload_ext",
    "autoreload",
    "pushd", "popd", "writefile", "mkdir", "cp", "mv", "rm",
}  # fmt: skip
_OWN = "mlops"


@dataclass(frozen=True, slots=True)
class Magic:
    """What one magic or shell line does.

    Attributes:
        body: Source that it executes in the notebook, or None.
        always: Why its cell is always kept, or "".
        anything: Whether it may read or change any name.
        reads: Names that it reads for certain.
        stores: Names that it binds.
        certain: Whether a cell that succeeds has executed the body to its end: nothing in it is swallowed.
    """

    body: str | None = None
    always: str = ""
    anything: bool = False
    reads: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    certain: bool = False


def of_call(node: ast.Call) -> Magic | None:
    """Read a call of ``get_ipython().something(...)``; None when it is no such call."""
    match node.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr=method):
            words = [item.value if isinstance(item, ast.Constant) else None for item in node.args]
        case _:
            return None
    if not words or not all(isinstance(word, str) for word in words):
        return Magic(always="asks IPython itself", anything=True)
    texts = [str(word) for word in words]
    if method in {"system", "getoutput"}:
        return Magic(always="runs a shell line", reads=_expanded(texts[0]))
    if method == "run_line_magic" and len(texts) > 1:
        return _line(texts[0], texts[1])
    if method == "run_cell_magic" and len(texts) > 2:  # noqa: PLR2004 - name, line, body
        return _cell(*texts[:3])
    return Magic(always="asks IPython itself", anything=True)


def _line(name: str, line: str) -> Magic:
    if name == "mlops_track":
        return Magic()
    if name in _BODY:
        return Magic(body=_without_options(line))
    if name in _HARMLESS:
        return Magic(reads=_expanded(line))
    if name in _SETTINGS:
        return Magic(always=f"changes the environment (%{name})", reads=_expanded(line))
    if name.startswith(_OWN):  # it shows or logs what it is given; the names that it binds are seen
        return Magic(anything=True)
    return Magic(always=f"runs %{name}", anything=True)


def _cell(name: str, line: str, body: str) -> Magic:
    if name in _BODY:
        return Magic(body=body, stores=kept_names(name, line.split()), certain=name == "mlops_track")
    if name in _HARMLESS:
        return Magic()
    return Magic(always=f"runs %%{name}", anything=name not in _SETTINGS, reads=_expanded(line))


def kept_names(name: str, words: list[str]) -> tuple[str, ...]:
    """List the name that holds what a magic returns or captures.

    Args:
        name: The magic.
        words: What stands on its line.
    """
    if name == "capture":
        return tuple(words[-1:]) if words and not words[0].startswith("-") else ()
    if name == "mlops_track" and "-o" in words[:-1]:
        return (words[words.index("-o") + 1],)
    return ()


def _without_options(line: str) -> str:
    return re.sub(r"^(?:\s*-[a-zA-Z]\w*(?:\s+\d+)?)+\s+", "", line)


def _expanded(line: str) -> tuple[str, ...]:
    """List the names that IPython puts into a line: ``{name}`` and ``$name``."""
    found = re.findall(r"\{([^{}]*)\}|\$\{?([A-Za-z_]\w*)", line)
    return tuple(word for pair in found for word in re.findall(r"[A-Za-z_]\w*", " ".join(pair)))
