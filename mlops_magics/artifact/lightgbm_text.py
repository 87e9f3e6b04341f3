"""What a LightGBM model's text must be before LightGBM itself reads it.

LightGBM's reader follows what the text says: children, features and lengths are indices and sizes of its
own memory, and it looks none of them up. So the text is read here first, to the letter of what LightGBM
writes: a line that it would not write is refused, because two readers that disagree about a line is how a
check is walked around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np

from mlops_magics.foundation.errors import RefusedError

_INT: Final = rb"-?\d{1,10}"
_FLOAT: Final = rb"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf|nan)"
_INTS: Final = re.compile(rb" *(?:%b(?: +%b)*)? *" % (_INT, _INT))
_FLOATS: Final = re.compile(rb" *(?:%b(?: +%b)*)? *" % (_FLOAT, _FLOAT))
_HEAD: Final = {
    b"version": re.compile(rb"v[34]"),
    b"num_class": re.compile(rb"\d{1,6}"),
    b"num_tree_per_iteration": re.compile(rb"\d{1,6}"),
    b"label_index": re.compile(rb"\d{1,9}"),
    b"max_feature_idx": re.compile(rb"\d{1,9}"),
    b"objective": re.compile(
        rb"(?:regression|regression_l1|quantile|huber|fair|poisson|binary|lambdarank|rank_xendcg|multiclass"
        rb"|multiclassova|cross_entropy|cross_entropy_lambda|mape|gamma|tweedie)"
        rb"(?: sqrt| [a-z_]+:%b)*" % _FLOAT
    ),
    b"feature_names": re.compile(rb"[^\n]*"),
    b"monotone_constraints": _INTS,
    b"feature_infos": re.compile(rb"[^\n=]*"),
    b"tree_sizes": re.compile(rb"\d{1,10}(?: \d{1,10})*"),
}
_NEEDED: Final = _HEAD.keys() - {b"objective", b"monotone_constraints"}
_OF_SPLITS: Final = {  # a number for each split; the first six steer what a prediction reads
    b"split_feature": _INTS,
    b"threshold": _FLOATS,
    b"decision_type": _INTS,
    b"left_child": _INTS,
    b"right_child": _INTS,
    b"split_gain": _FLOATS,
    b"internal_value": _FLOATS,
    b"internal_weight": _FLOATS,
    b"internal_count": _INTS,
}
_OF_LEAVES: Final = {
    b"leaf_value": _FLOATS,
    b"leaf_weight": _FLOATS,
    b"leaf_count": _INTS,
    b"leaf_const": _FLOATS,
    b"num_features": _INTS,
}
_OTHER: Final = {
    b"num_leaves": re.compile(rb"\d{1,9}"),
    b"num_cat": re.compile(rb"\d{1,9}"),
    b"cat_boundaries": _INTS,
    b"cat_threshold": _INTS,
    b"is_linear": re.compile(rb"[01]"),
    b"leaf_features": _INTS,
    b"leaf_coeff": _FLOATS,
    b"shrinkage": re.compile(_FLOAT),
}
_LINES: Final = {**_OF_SPLITS, **_OF_LEAVES, **_OTHER}
_TREE: Final = _LINES.keys() - {
    *(b"cat_boundaries", b"cat_threshold"),
    *(b"leaf_const", b"num_features", b"leaf_features", b"leaf_coeff"),
}
_BITS: Final = 1 << 32  # cat_threshold holds unsigned numbers of 32 bits, all else signed ones
_CATEGORICAL: Final = 1  # the bit of decision_type


def check_text(text: str) -> None:
    """Refuse a model text that LightGBM would follow out of its own memory.

    Args:
        text: The text, as ``Booster.model_to_string`` writes it.

    Raises:
        RefusedError: It is not what LightGBM writes, or an index in it leads outside.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        _refuse("its text is not Unicode")
    if b"\0" in raw or b"\r" in raw:
        _refuse("its text holds characters that LightGBM does not write")
    start, gap, body = raw.partition(b"\n\n")
    if not gap or not start.startswith(b"tree\n"):
        _refuse("it does not begin as LightGBM's text does")
    head, average = _head(start.removeprefix(b"tree\n"))
    width = int(head[b"max_feature_idx"]) + 1
    _shapes(head, width)
    place = 0
    sizes = head[b"tree_sizes"].split()
    for number, size in enumerate(sizes):
        end = place + int(size)
        _tree(number, body[place:end], width)
        place = end
    rest = body[place:]
    if not rest.startswith(b"end of trees\n") or b"\nparser:" in rest:
        _refuse("its trees do not end where it says")
    if len(sizes) % int(head[b"num_tree_per_iteration"]) or (average and not sizes):
        _refuse("an iteration of it is cut short")


def _refuse(what: str) -> NoReturn:
    raise RefusedError(
        f"The LightGBM model is damaged: {what}.",
        "The file was altered or made by another version: train and log the model again.",
    )


def _head(start: bytes) -> tuple[Mapping[bytes, bytes], bool]:
    """Read the lines before the trees, each once, and whether the trees are averaged."""
    found: dict[bytes, bytes] = {}
    average = False
    for line in start.split(b"\n"):
        key, equals, value = line.partition(b"=")
        if line == b"average_output" and not average:
            average = True
        elif not equals or key in found or key not in _HEAD or not _HEAD[key].fullmatch(value):
            _refuse(f"its line {_shown(line)} is not one that LightGBM writes")
        else:
            found[key] = value
    if missing := sorted(_NEEDED - found.keys()):
        _refuse(f"it has no line {_shown(missing[0])}")
    return found, average


def _shapes(head: Mapping[bytes, bytes], width: int) -> None:
    """Compare what the head says several times: how many outputs there are, and how many features."""
    outputs = int(head[b"num_class"])
    if outputs < 1 or int(head[b"num_tree_per_iteration"]) != outputs:
        _refuse("its number of classes is not its number of trees in an iteration")
    told = re.findall(rb" num_class:(\S+)", head.get(b"objective", b""))
    several = head.get(b"objective", b"").startswith(b"multiclass")
    if told != ([b"%d" % outputs] if several else []):
        _refuse("its objective speaks of another number of classes")
    for key in (b"feature_names", b"feature_infos", b"monotone_constraints"):
        if key in head and len(head[key].split(b" ")) != width:
            _refuse(f"its line {_shown(key)} does not fit {width} features")


def _tree(number: int, block: bytes, width: int) -> None:
    """Check one tree."""
    name = f"tree {number}"
    first = b"Tree=%d\n" % number
    if not block.startswith(first) or not block.endswith(b"\n\n\n"):
        _refuse(f"{name} is not where its head says")
    lines = _lines(name, block[len(first) : -3])
    leaves, linear = int(lines[b"num_leaves"]), lines[b"is_linear"] == b"1"
    if leaves < 1:
        _refuse(f"{name} has no leaf")
    for key in _OF_SPLITS:
        _count(name, key, lines, leaves - 1)
    for key in _OF_LEAVES.keys() & lines.keys():
        empty = leaves == 1 and key in {b"leaf_weight", b"leaf_count"} and not lines[key].strip()
        _count(name, key, lines, 0 if empty else leaves)
    _splits(name, lines, leaves, width)
    if linear:
        _linear(name, lines, width)


def _lines(name: str, text: bytes) -> Mapping[bytes, bytes]:
    """Read a tree's lines, each once."""
    found: dict[bytes, bytes] = {}
    for line in text.split(b"\n"):
        key, _, value = line.partition(b"=")
        if key in found or key not in _LINES or not _LINES[key].fullmatch(value):
            _refuse(f"{name} has a line {_shown(line)} that LightGBM does not write")
        found[key] = value
    if missing := sorted(_TREE - found.keys()):
        _refuse(f"{name} has no line {_shown(missing[0])}")
    return found


def _count(name: str, key: bytes, lines: Mapping[bytes, bytes], length: int) -> None:
    if len(lines[key].split()) != length:
        _refuse(f"{name} does not hold {length} numbers in {_shown(key)}")


def _splits(name: str, lines: Mapping[bytes, bytes], leaves: int, width: int) -> None:
    """Children lie behind their parent or are leaves, features exist, categories have their bits."""
    here = np.arange(leaves - 1)
    for key in (b"left_child", b"right_child"):
        child = _whole(name, key, lines)
        inner = child >= 0
        if not ((child >= -leaves) & (child < leaves - 1) & (~inner | (child > here))).all():
            _refuse(f"{name} has a {_shown(key)} outside of itself")
    feature = _whole(name, b"split_feature", lines)
    if not ((feature >= 0) & (feature < width)).all():
        _refuse(f"{name} splits by a feature that does not exist")
    kind = _whole(name, b"decision_type", lines)
    if not ((kind >= 0) & (kind < 1 << 7)).all():
        _refuse(f"{name} has an unknown decision_type")
    _categories(name, lines, (kind & _CATEGORICAL) != 0)


def _categories(name: str, lines: Mapping[bytes, bytes], categorical: Any) -> None:  # noqa: ANN401 - an array
    """Each split by category finds its bits inside of cat_threshold."""
    count = int(lines[b"num_cat"])
    if (count > 0) != (b"cat_boundaries" in lines) or (count > 0) != (b"cat_threshold" in lines):
        _refuse(f"{name} does not hold the categories that it speaks of")
    asked = np.array(lines[b"threshold"].split(), dtype=float)[categorical]
    if not ((asked >= 0) & (asked < count) & (asked == np.floor(asked))).all():
        _refuse(f"{name} asks for categories that it does not hold")
    if count > 0:
        bounds = _whole(name, b"cat_boundaries", lines)
        bits = _whole(name, b"cat_threshold", lines, low=0, high=_BITS)
        if (
            len(bounds) != count + 1
            or bounds[0] != 0
            or bounds[-1] != len(bits)
            or (np.diff(bounds) < 0).any()
        ):
            _refuse(f"{name} has cat_boundaries outside of its categories")


def _linear(name: str, lines: Mapping[bytes, bytes], width: int) -> None:
    """A linear leaf reads features that exist, and has a coefficient for each."""
    if not {b"leaf_const", b"num_features", b"leaf_features", b"leaf_coeff"} <= lines.keys():
        _refuse(f"{name} is linear and holds no coefficients")
    each = _whole(name, b"num_features", lines)
    features = _whole(name, b"leaf_features", lines)
    if (each < 0).any() or each.sum() != len(features) or len(lines[b"leaf_coeff"].split()) != len(features):
        _refuse(f"{name} does not hold a coefficient for each feature of its leaves")
    if not ((features >= 0) & (features < width)).all():
        _refuse(f"{name} has a leaf with a feature that does not exist")


def _whole(
    name: str, key: bytes, lines: Mapping[bytes, bytes], *, low: int = -(_BITS // 2), high: int = _BITS // 2
) -> Any:  # noqa: ANN401 - an array
    found = np.array(lines[key].split(), dtype=np.int64)
    if not ((found >= low) & (found < high)).all():
        _refuse(f"{name} holds a number in {_shown(key)} that LightGBM cannot read")
    return found


def _shown(text: bytes) -> str:
    return repr(text[:40].decode(errors="replace"))
