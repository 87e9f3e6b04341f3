"""The profile card: alerts, a table of columns, and a column's details when the page asks for them.

The data stay in the kernel. A request from the page is checked here as if a stranger had sent it, and is
answered with its own id, so that the page can tell a late answer from the one that it waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets.base import AskedCard
from mlops_magics.frontends.widgets.page import ODD_REQUEST
from mlops_magics.steps.profile.result import Profile
from mlops_magics.steps.profile.view import safe

_KEPT = 64  # details kept: going back and forth costs the kernel nothing


class ProfileCard(AskedCard):
    """An interactive profile.

    Args:
        profile: The profile; its text and html ride along beside the widget.

    Attributes:
        state: The overview that the page shows. The page cannot write it.
        selected: The name of the column that is looked at, or None; setting it looks at another.
        place: The same as the page knows it: the column's position, -1 for none.
    """

    failed = ("Something went wrong in the kernel.", "Its log has the details; then choose the column again.")

    selected = traitlets.Unicode(allow_none=True, default_value=None)
    place = traitlets.Int(-1).tag(sync=True)

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._details: dict[int, dict[str, Any]] = {}
        table = profile.table
        self._places = {column.name: column.position for column in table.columns}
        super().__init__(profile, "profile", state=profile.overview())

    @traitlets.validate("selected")
    def _known(self, proposal: Mapping[str, Any]) -> str | None:
        name = proposal["value"]
        if name is not None and name not in self._places:
            raise UsageError(
                f"The profile has no column '{safe(name)[:80]}'.", "Choose one of profile.columns."
            )
        return None if name is None else str(name)

    @traitlets.observe("selected")
    def _chosen(self, change: Mapping[str, Any]) -> None:
        self.place = self._places.get(change["new"], -1)

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        position = self._position(request)
        answer = {"detail": self._detail(position)}
        self.selected = self._profile.table.columns[position].name
        return answer

    def _position(self, request: Mapping[str, Any]) -> int:
        position = request.get("column")
        count = len(self._profile.table.columns)
        if request.get("ask") != "column" or isinstance(position, bool) or not isinstance(position, int):
            raise UsageError(*ODD_REQUEST)
        if not 0 <= position < count:
            raise UsageError("The profile has no such column.", "Reload the page, then choose a column.")
        return position

    def _detail(self, position: int) -> dict[str, Any]:
        if position not in self._details:
            while len(self._details) >= _KEPT:
                del self._details[next(iter(self._details))]
            self._details[position] = self._profile.detail(position)
        return self._details[position]


def card(profile: Result) -> ProfileCard:
    """Make the card of a profile.

    Args:
        profile: The profile; without a desk its details come from the summary alone.

    Returns:
        The card; show it as a cell's last line, or compose it in an ``ipywidgets.VBox``.

    Raises:
        UsageError: It is another result.
    """
    if not isinstance(profile, Profile):
        raise UsageError(f"A {type(profile).__name__} is not a profile.", "Make one with %mlops_profile.")
    return ProfileCard(profile)
