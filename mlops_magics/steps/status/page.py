"""A page of the documentation, or a section of it, shown where one works: an error names it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from mlops_magics.foundation.blocks import Block, Code, shown
from mlops_magics.foundation.errors import NotFoundError, UnavailableError, nearest
from mlops_magics.foundation.pages import address, files, sections, site
from mlops_magics.foundation.result import Result

_PICTURE: Final = re.compile(r"!\[[^\]\[]*\]\([^)\s]+\)\n?")
_LINK: Final = re.compile(r"\[([^\]\[]*)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Page(Result):
    """A page of the documentation, or a section of it.

    Attributes:
        name: The page, and the section behind ``#``.
        text: Its Markdown.
    """

    name: str
    text: str

    volatile: ClassVar[bool] = True  # each release writes its pages anew

    def blocks(self) -> Iterable[Block]:
        """Show the text as it is written."""
        yield Code(self.text)

    def __str__(self) -> str:
        return "\n".join(shown(line) for line in self.text.splitlines())

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let the front end set it as Markdown."""
        data, about = super()._repr_mimebundle_(include, exclude)
        del data["text/html"]  # which front ends would show in its place
        return {**data, "text/plain": str(self), "text/markdown": self.text}, about


def page(name: str, said: str) -> Page:
    """Read a page that came with the package.

    Args:
        name: The page: ``promote``; a section of it: ``promote#a-policy``.
        said: The address of the published site, where the settings say one.

    Raises:
        NotFoundError: There is no such page or section.
        UnavailableError: The package was installed without its pages.
    """
    known = files()
    if not known:
        raise UnavailableError("The pages did not come with the package.", "Install mlops-magics again.")
    stem, _, section = name.partition("#")
    if stem not in known:
        raise NotFoundError(f"There is no page {stem[:80]!r}.", nearest(stem, known))
    text = known[stem].read_text(encoding="utf-8")
    if section:
        parts = sections(text)
        if section not in parts:
            raise NotFoundError(f"The page {stem} has no section {section[:80]!r}.", nearest(section, parts))
        text = parts[section]
    return Page(name, _told(text, known, site(said)))


def _told(text: str, known: Iterable[str], base: str) -> str:
    """Leave out what does not come along: pictures, and links to files; those to pages name the page."""

    def link(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if target.startswith(("http", "#")):
            return found[0] if target.startswith("http") else words
        file, hash_, section = target.removeprefix("../").removeprefix("docs/").partition("#")
        stem = {"README.md": "index"}.get(file, file.removesuffix(".md"))
        if stem not in known:
            return words
        page_ = f"{stem}{hash_}{section}"
        return f"[{words}]({address(page_, base)})" if base else f"{words} (`%mlops --page {page_}`)"

    return _LINK.sub(link, _PICTURE.sub("", text))
