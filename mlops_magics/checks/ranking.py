"""How well a score ranks rows, where nothing but the order counts: with the influence of each row."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.intervals import Influence
from mlops_magics.checks.model import Codes, Numbers

_NEAR = 10  # rows on each side of the cut, at least, that tell how many relevant ones lie there


def ndcg(grades: Numbers, score: Numbers) -> Influence | None:
    """Measure the normalised discounted cumulative gain of one list, with the grades as gains.

    Järvelin and Kekäläinen, ACM Transactions on Information Systems 20 (2002). Equal scores share the mean
    of their places' discounts. The variance is the infinitesimal jackknife's: a row's weight moves its own
    gain, and the places of all rows below it.

    Args:
        grades: How relevant each row is; none below zero.
        score: What ranks them.

    Returns:
        The gain, or None where no row has a grade above zero.
    """
    ideal = _gain(grades, grades)
    if ideal.value <= 0:
        return None
    found = _gain(grades, score)
    value = found.value / ideal.value
    rows = (found.rows - value * ideal.rows) / ideal.value
    return Influence(value, rows - rows.mean())


class Lists(NamedTuple):
    """The gain of many lists.

    Attributes:
        value: The mean of the lists' gains.
        chance: The same for orders that are drawn at random.
        each: The gain of each list in which something is to be ranked.
        firsts: Where the first row of each of these lists is.
    """

    value: float
    chance: float
    each: Numbers
    firsts: Codes


def ndcg_by_list(grades: Numbers, score: Numbers, lists: Codes) -> Lists | None:
    """Measure the normalised discounted cumulative gain of each list, and their mean.

    A list whose rows all have one grade is left out: no order of it is better than another.

    Args:
        grades: How relevant each row is; none below zero.
        score: What ranks them within their list.
        lists: The list that each row is of, numbered from 0.

    Returns:
        The gains, or None where there is nothing to be ranked in any list.
    """
    rows = np.bincount(lists)
    discounts = np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, rows.max() + 2))))[rows]
    order = np.lexsort((grades, lists))
    ends = np.cumsum(rows)
    asked = np.flatnonzero(grades[order[ends - rows]] < grades[order[ends - 1]])
    if not len(asked):
        return None
    ideal = _gains(grades, grades, lists)[asked]
    each = _gains(grades, score, lists)[asked] / ideal
    drawn = (np.bincount(lists, grades) / rows * discounts)[asked] / ideal
    firsts = np.unique(lists, return_index=True)[1][asked]
    return Lists(float(each.mean()), float(drawn.mean()), each, firsts)


def _gains(grades: Numbers, score: Numbers, lists: Codes) -> Numbers:
    """Sum the discounted gains of each list; equal scores share the mean of their places' discounts."""
    order = np.lexsort((-score, lists))
    of, ranked, rows = lists[order], score[order], np.bincount(lists)
    discount = 1 / np.log2(np.arange(len(order)) - (np.cumsum(rows) - rows)[of] + 2)
    level = np.cumsum(np.append(True, (of[1:] != of[:-1]) | (ranked[1:] != ranked[:-1]))) - 1
    mean = np.bincount(level, discount) / np.bincount(level)
    return np.asarray(np.bincount(of, grades[order] * mean[level]), dtype=np.float64)


def _gain(grades: Numbers, score: Numbers) -> Influence:
    """Sum the discounted gains, and differentiate the sum in the weight of each row."""
    discount = 1 / np.log2(np.arange(2, len(score) + 2))
    total = np.append(0.0, np.cumsum(discount))
    _, level, ties = np.unique(-score, return_inverse=True, return_counts=True)
    last = np.cumsum(ties)
    first = last - ties
    mean = (total[last] - total[first]) / ties
    gains = np.bincount(level, weights=grades)
    at = np.append(0.0, discount)  # by place, from the first
    # A row more in a group moves the group's end, and the groups behind it as a whole.
    own = gains * (at[last] - mean) / ties
    moved = gains * (at[last] - np.where(first > 0, at[first], 0.0)) / ties
    behind = np.append(np.cumsum(moved[::-1])[::-1][1:], 0.0)
    return Influence(float(gains @ mean), grades * mean[level] + own[level] + behind[level])


def share_of_top(relevant: npt.NDArray[np.bool_], score: Numbers, top: int | None) -> Numbers:
    """Say of each row with which part of it it is among those that are ranked first.

    Args:
        relevant: Which rows are sought.
        score: What ranks them; rows that share the score at the cut count in part.
        top: How many rows are taken; None for as many as are relevant.
    """
    taken = _taken(relevant, top)
    if taken == 0:
        return np.zeros(len(score))
    cut = np.sort(score)[len(score) - taken]
    above, level = score > cut, score == cut
    return np.where(above, 1.0, np.where(level, (taken - above.sum()) / level.sum(), 0.0))


def _taken(relevant: npt.NDArray[np.bool_], top: int | None) -> int:
    return min(len(relevant), int(relevant.sum()) if top is None else top)


def precision_at(relevant: npt.NDArray[np.bool_], score: Numbers, top: int | None) -> Influence | None:
    """Measure the share of relevant rows among those that are ranked first.

    Args:
        relevant: Which rows are sought.
        score: What ranks them; rows that share the score at the cut count in part.
        top: How many rows are taken; None for as many as are relevant.

    Returns:
        The share, or None where no row would be taken.
    """
    rows = len(score)
    taken = _taken(relevant, top)
    if taken == 0:
        return None
    part, order = share_of_top(relevant, score, top), np.argsort(-score, kind="stable")
    value, share = float(part @ relevant) / taken, taken / rows
    near = max(_NEAR, math.isqrt(rows))
    there = float(relevant[order[max(0, taken - near) : taken + near]].mean())
    # A row that enters at the top pushes one out at the cut, which is relevant as often as those there.
    moved = part * (relevant - there) / share - (value - there)
    if top is None:
        moved += (there - value) * (relevant - relevant.mean()) / share
    return Influence(value, moved / rows)
