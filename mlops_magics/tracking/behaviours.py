"""What behaviour tests found of a model: on the model, on its version, and as a file of its run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.masking import masked, masked_values
from mlops_magics.tracking import registry, runs
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, door
from mlops_magics.tracking.subject import Subject

_TAG: Final = "mlops.test."
_NAME: Final = 80  # characters
_EVIDENCE: Final = 400  # characters; a tag holds 5,000 at most


@dataclass(frozen=True, slots=True)
class Tested:
    """The outcome of one behaviour test, the last time that it was run on a model.

    Attributes:
        name: The test's name.
        passed: Whether the model did all that was expected.
        when: ISO time in UTC.
        expectations: How many expectations were made; plain ``assert`` statements are not counted.
        code: Digest of the test's source: another one is another test of the same name.
        evidence: What was found, in words.
    """

    name: str
    passed: bool
    when: str
    expectations: int
    code: str
    evidence: str


def checked_title(name: str) -> str:
    """Return a test's name without spaces around it.

    Raises:
        UsageError: It is empty, too long, or cannot be printed.
    """
    title = " ".join(name.split())
    if not title or len(title) > _NAME or not title.isprintable():
        raise UsageError(
            f"'{title[:_NAME]}' is no name for a test.", f"Give it a few words, at most {_NAME} characters."
        )
    return title


def write(store: Store, subject: Subject, found: Tested, source: str) -> None:
    """Keep what a test found, in the place of what it found before on the same model.

    An estimator that was never logged keeps nothing.
    """
    kept = Tested(**(asdict(found) | {"evidence": masked(found.evidence)[:_EVIDENCE]}))
    # No word of the name is in the key: "password" there would have the whole record masked.
    key = f"{_TAG}{_digest(found.name)}"
    tags = masked_values({key: json.dumps(asdict(kept), ensure_ascii=False)})
    if subject.run_id is not None:
        content = json.dumps({**asdict(kept), "source": masked(source)}, ensure_ascii=False, indent=1)
        runs.log_files(store, subject.run_id, {f"mlops/tests/{file_name(found.name)}": content})
    if subject.model_id is not None:
        with door(f"The model {subject.model_id}"):
            store.client.set_logged_model_tags(subject.model_id, tags)
    if subject.version is not None:
        registry.tag_version(store, subject.version, tags)


def read(store: Store, version: ModelVersion) -> tuple[Tested, ...]:
    """Read the newest outcome of each test that was run on a version, by name."""
    tags = [version.tags]
    if version.model_id is not None:
        with door(f"The model {version.model_id}"):
            tags.append(store.client.get_logged_model(version.model_id).tags)
    return _newest(tags)


def of_subject(store: Store, subject: Subject) -> tuple[Tested, ...]:
    """Read the newest outcome of each test that was run on a model, by name; none of one never logged."""
    if subject.version is not None:
        return read(store, subject.version)
    if subject.model_id is None:
        return ()
    with door(f"The model {subject.model_id}"):
        return _newest([store.client.get_logged_model(subject.model_id).tags])


def _newest(tags: list[Mapping[str, str]]) -> tuple[Tested, ...]:
    found: dict[str, Tested] = {}
    for each in tags:
        for key, text in each.items():
            if not key.startswith(_TAG):
                continue
            # What cannot be read was a test once: it counts as failed, not as never made.
            one = _read(text) or _unread(key)
            if key not in found or found[key].when < one.when:
                found[key] = one
    return tuple(sorted(found.values(), key=lambda one: one.name))


def _unread(key: str) -> Tested:
    told = "the record cannot be read"
    return Tested(key.removeprefix(_TAG), passed=False, when="", expectations=0, code="", evidence=told)


def _read(text: str) -> Tested | None:
    try:
        found = Tested(**json.loads(text))
    except (ValueError, TypeError):
        return None
    return found if isinstance(found.passed, bool) and isinstance(found.when, str) else None


def file_name(name: str) -> str:
    """Return the name of the file that a run keeps of a test."""
    words = re.sub(r"\W+", "-", name, flags=re.ASCII).strip("-").lower()
    return f"{words}-{_digest(name)[:6]}.json".lstrip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
