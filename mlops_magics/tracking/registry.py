"""The registry: models, their versions, and what each alias points to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_magics.foundation.errors import NotFoundError, nearest
from mlops_magics.foundation.masking import masked_values
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.tracking import glance, history
from mlops_magics.tracking.glance import Registered
from mlops_magics.tracking.history import Event
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, door, raced

ALIASES = ("candidate", "challenger", "champion")
_MODEL_ID = "mlops.model_id"  # MLflow's SQL store takes a version's model id and forgets it
_PAGE = 1_000  # things that one answer holds; of registered models MLflow gives no more at once


@dataclass(frozen=True, slots=True)
class Standing:
    """A registered model as it stands.

    Attributes:
        versions: Its versions, newest first.
        aliases: What each alias points to.
        moves: The moves of its aliases, oldest first.
        tags: The tags of the model itself.
    """

    versions: tuple[ModelVersion, ...]
    aliases: Mapping[str, str]
    moves: tuple[Event, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that is registered, read at once.

    Attributes:
        versions: Each version by model and number.
        tags: The tags of each registered model.
    """

    versions: Mapping[tuple[str, str], ModelVersion]
    tags: Mapping[str, Mapping[str, str]]


def create_version(
    store: Store,
    model: str,
    *,
    source: str,
    run_id: str | None,
    model_id: str | None,
    tags: Mapping[str, str],
) -> str:
    """Create a version of a registered model, and the model itself when it is new.

    Returns:
        The version's number.
    """
    checked_name(model, "model")
    with door(f"The model '{model}'"):
        raced(lambda: _registered(store, model) or store.client.create_registered_model(model))
        known = {} if model_id is None else {_MODEL_ID: model_id}
        made = store.client.create_model_version(
            model, source, run_id, masked_values(tags) | known, model_id=model_id, await_creation_for=0
        )
    return str(made.version)


def models(store: Store) -> dict[str, dict[str, str]]:
    """List the registered models by name, each with its aliases and the version each points to."""
    return {item.name: item.aliases for item in registered(store)}


def registered(store: Store) -> tuple[Registered, ...]:
    """List the registered models by name, each with its aliases and its tags.

    Args:
        store: The open store.

    Raises:
        UnavailableError: The store does not answer.
    """
    with door("The registry"):
        found = glance.registered(store.uri)
        if found is not None:
            return found
        return tuple(
            Registered(str(item.name), _aliases(item), dict(item.tags or {}))
            for item in paged(store.client.search_registered_models)
        )


def inventory(store: Store) -> Inventory:
    """Read all models and all versions, a thousand with each question."""
    models = {item.name: item for item in registered(store)}
    with door("The registry"):
        every = list(paged(store.client.search_model_versions, order_by=["name ASC", "version_number ASC"]))
    holders = {name: _holders(item) for name, item in models.items()}
    versions = {(one.name, str(one.version)): _record(one, holders.get(one.name, {})) for one in every}
    return Inventory(versions, {name: item.tags for name, item in models.items()})


def versions(store: Store, model: str) -> tuple[ModelVersion, ...]:
    """List the versions of a model, newest first.

    Raises:
        NotFoundError: There is no such model.
    """
    return _versions(store, _known(store, model))


def standing(store: Store, model: str) -> Standing:
    """Read how a model stands: its aliases and moves at one moment, then its versions.

    Raises:
        NotFoundError: There is no such model.
    """
    registered = _known(store, model)
    tags = dict(registered.tags)
    return Standing(_versions(store, registered), _aliases(registered), history.of_tags(tags), tags)


def made_by(store: Store, run_id: str) -> tuple[ModelVersion, ...]:
    """List the versions that came of a run, newest first."""
    return _where(store, f"run_id = '{run_id}'")


def of_files(store: Store, digest: str) -> tuple[ModelVersion, ...]:
    """List the versions of the same files, newest first.

    Args:
        store: The open store.
        digest: The digest of their manifest, or how it begins; hexadecimal.
    """
    return _where(store, f"tags.`mlops.manifest` LIKE 'sha256:{digest}%'")


def resolve(store: Store, address: ModelAddress) -> ModelVersion:
    """Find the version that an address points to now.

    A bare model name means its newest version.

    Raises:
        NotFoundError: The model, the alias or the version is not there; the nearest one is named.
    """
    registered = _known(store, address.model)
    aliases = _aliases(registered)
    if address.alias and address.alias not in aliases:
        raise NotFoundError(
            f"{address.model} has no {address.alias} yet.",
            f"%mlops_promote {address.model} makes one. {nearest(address.alias, aliases)}".strip(),
        )
    wanted = aliases.get(address.alias or "") or address.version
    if wanted is None:
        return _newest(store, registered)
    try:
        with door(f"Version {wanted} of {address.model}"):
            item = store.client.get_model_version(address.model, wanted)
    except NotFoundError:
        known = [found.version for found in versions(store, address.model)]
        raise NotFoundError(
            Sentence("%1 has no version %2.", address.model, wanted),
            nearest(wanted, known) or Sentence("It has no versions."),
        ) from None
    return _record(item, _holders(registered))


def aliases_of(store: Store, model: str) -> dict[str, str]:
    """Return what each alias of a model points to now."""
    return _aliases(_known(store, model))


def tags_of(store: Store, model: str) -> dict[str, str]:
    """Return a registered model's tags."""
    return dict(_known(store, model).tags)


def moves_of(store: Store, model: str) -> tuple[Event, ...]:
    """Read a model's moves, oldest first."""
    return history.of_tags(_known(store, model).tags)


def paged(search: Callable[..., Any], **asked: Any) -> Iterator[Any]:  # noqa: ANN401 - MLflow's own
    """Go through all that one of MLflow's searches finds, a page at a time.

    Args:
        search: The client's method.
        **asked: What it is asked for.

    Yields:
        What it found, in its order.
    """
    token: str | None = None
    while True:
        page = search(**asked, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token or None
        if token is None:
            return


def tag_version(store: Store, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Set tags of a version."""
    with door(f"{version.model}/{version.version}"):
        for key, value in masked_values(tags).items():
            store.client.set_model_version_tag(version.model, version.version, key, value)


def _versions(store: Store, registered: Any) -> tuple[ModelVersion, ...]:  # noqa: ANN401 - MLflow's RegisteredModel
    holders = _holders(registered)
    with door(f"The model '{registered.name}'"):
        # By number: MLflow's own order, by the last change, may shift between two pages.
        found = list(
            paged(
                store.client.search_model_versions,
                filter_string=f"name = '{registered.name}'",
                order_by=["version_number ASC"],
            )
        )
    return tuple(
        _record(item, holders) for item in sorted(found, key=lambda item: int(item.version), reverse=True)
    )


def _where(store: Store, query: str) -> tuple[ModelVersion, ...]:
    """List the versions, of any model, that MLflow finds; newest first."""
    with door("The registry"):
        found = list(paged(store.client.search_model_versions, filter_string=query))
    holders = {item.name: _holders(_known(store, item.name)) for item in found}
    ordered = sorted(found, key=lambda item: item.creation_timestamp, reverse=True)
    return tuple(_record(item, holders[item.name]) for item in ordered)


def _aliases(registered: Any) -> dict[str, str]:  # noqa: ANN401 - MLflow's RegisteredModel
    return {key: str(value) for key, value in registered.aliases.items()}


def _newest(store: Store, registered: Any) -> ModelVersion:  # noqa: ANN401 - MLflow's RegisteredModel
    model = registered.name
    with door(f"The model '{model}'"):
        found = store.client.search_model_versions(
            f"name = '{model}'", max_results=1, order_by=["version_number DESC"]
        )
    if not found:
        raise NotFoundError(
            Sentence("%1 has no versions.", model), Sentence("%1 makes one.", f"%mlops_register RUN {model}")
        )
    return _record(found[0], _holders(registered))


def _registered(store: Store, model: str) -> Any:  # noqa: ANN401 - MLflow's RegisteredModel
    try:
        with door(f"The model '{model}'"):
            return store.client.get_registered_model(model)
    except NotFoundError:
        return None


def _known(store: Store, model: str) -> Any:  # noqa: ANN401 - MLflow's RegisteredModel
    checked_name(model, "model")
    found = _registered(store, model)
    if found is None:
        raise NotFoundError(
            Sentence("There is no registered model '%1'.", model),
            nearest(model, models(store)) or Sentence("%1 makes it.", f"%mlops_register RUN {model}"),
        )
    return found


def _holders(registered: Any) -> dict[str, list[str]]:  # noqa: ANN401 - MLflow's RegisteredModel, or ours
    holders: dict[str, list[str]] = {}
    for alias, version in registered.aliases.items():
        holders.setdefault(str(version), []).append(alias)
    return holders


def _record(item: Any, holders: Mapping[str, list[str]]) -> ModelVersion:  # noqa: ANN401 - MLflow's ModelVersion
    tags = dict(item.tags or {})
    made = datetime.fromtimestamp(item.creation_timestamp / 1000, UTC)
    return ModelVersion(
        model=item.name,
        version=str(item.version),
        aliases=tuple(sorted(holders.get(str(item.version), ()))),
        run_id=item.run_id or None,
        model_id=item.model_id or tags.get(_MODEL_ID),
        source=item.source,
        digest=tags.get("mlops.manifest"),
        format=tags.get("mlops.format", "unknown"),
        tags=tags,
        made=made.isoformat(timespec="seconds"),
    )
