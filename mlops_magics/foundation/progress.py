"""How far a verb is: one line that a front end shows and replaces; without one it is said to nobody."""

from __future__ import annotations


class Progress:
    """Takes lines and shows none of them; front ends hand over a subclass that does."""

    def say(self, line: str) -> None:
        """Show a line in place of the one before."""

    def end(self) -> None:
        """Take the last line away."""
