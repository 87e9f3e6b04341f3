"""The two routes by which an endpoint describes itself; what they say is made when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import orjson

from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Route, says

if TYPE_CHECKING:
    from mlops_magics.serving.openapi import Json


def routes(
    predictor: Predictor, model: str, version: str, others: Mapping[str, Route], private: Collection[str]
) -> Mapping[str, Route]:
    """Make the routes.

    Args:
        predictor: What answers.
        model: The registered model's name.
        version: Its version.
        others: The endpoint's other routes, which are described as well.
        private: Columns that are known to be personal.
    """
    found: dict[str, Route] = {}
    every = {**others}

    @functools.cache
    def document() -> Json:
        from mlops_magics.serving import openapi

        return openapi.document(predictor, model, version, every, private)

    @functools.cache
    def page() -> Answer:
        from mlops_magics.serving import page as made

        schema = predictor.loaded.schema
        return made.page(document(), schema.columns if schema else (), every)

    found["/openapi.json"] = says(lambda: Answer(orjson.dumps(document())), slow=True)
    found["/docs"] = says(page, slow=True)
    every.update(found)
    return found
