"""The endpoint's description as one page: no script, nothing from elsewhere, everything escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mlops_magics.artifact.schema import Column
from mlops_magics.foundation import html
from mlops_magics.foundation.blocks import Block, Cell, Code, Facts, Name, Note, Phrase, Table, Title
from mlops_magics.serving.access import OPEN
from mlops_magics.serving.openapi import REFUSALS, summary
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Route
from mlops_magics.serving.tensors import DATATYPES

KIND: Final = "text/html; charset=utf-8"
_STYLES: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def page(document: Mapping[str, Any], columns: tuple[Column, ...], routes: Mapping[str, Route]) -> Answer:
    """Write the page.

    Args:
        document: The endpoint's OpenAPI document.
        columns: The model's columns.
        routes: The endpoint's routes.

    Returns:
        The page, with a policy that lets a browser run and load nothing.
    """
    info = document["info"]
    blocks: list[Block] = [
        Title(Phrase([Name(info["title"])]), f"version {info['version']}"),
        Facts([("Server", info["x-server"]), ("Token", "Authorization: Bearer <token>")]),
    ]
    if columns:
        rows: list[list[Cell]] = [
            [Name(one.name), one.type, one.required, DATATYPES[one.type]] for one in columns
        ]
        blocks.append(Table(["column", "type", "required", "tensor"], rows))
    else:
        blocks.append(Note("The model has no signature: it takes the columns that a request brings."))
    asked = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    if "example" in asked:
        blocks.append(Note("A request to /invocations; in it is made up what may be about a person."))
        blocks.append(Code(orjson.dumps(asked["example"]).decode()))
    told: list[list[Cell]] = [
        [" ".join(route.methods), Name(path), summary(path), path not in OPEN]
        for path, route in routes.items()
    ]
    blocks.append(Table(["method", "path", "what it does", "token"], told))
    blocks.append(Table(["status", "when"], [[str(status), when] for status, when in REFUSALS.items()]))
    text = html.page(info["title"], blocks)
    digests = [hashlib.sha256(style.encode()).digest() for style in _STYLES.findall(text)]
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    policy = (
        f"default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Answer(text.encode(), KIND, headers=((b"content-security-policy", policy.encode()),))
