"""Which page of the documentation explains what went wrong: THE TABLE, and where its pages lie.

A page is named by its file, a section by its heading as MkDocs writes anchors: ``promote#a-policy``. The
pages come with the package, so that they can be read where nobody has published the site, and are of its
version. Where the site is published, what is named leads there.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import Final

# A kind of error that one page explains, wherever it comes from.
KINDS: Final = {"MissingExtraError": "index#install-it-in-your-own-environment"}

# Where an error was raised -> what explains it. The innermost frame that has a row counts, and of its rows
# the longest: what has none (names, durations, the registry) is about the verb that asked.
MODULES: Final = {
    "artifact.boosters": "security#models-are-code-until-proven-otherwise",
    "artifact.card": "register#the-card",
    "artifact.certificate": "deploy#tls",
    "artifact.contract": "prepare#the-contract",
    "artifact.foreign": "register#other-flavors",
    "artifact.guard": "deploy#tokens-for-others",
    "artifact.loading": "security#models-are-code-until-proven-otherwise",
    "artifact.pandera_schema": "prepare#the-contract",
    "artifact.reference": "register#the-reference",
    "artifact.request": "deploy#what-the-endpoint-speaks",
    "artifact.rows": "deploy#what-the-endpoint-speaks",
    "artifact.rules": "prepare#the-contract",
    "artifact.shipped": "register#code-of-your-own",
    "artifact.trust": "security#models-are-code-until-proven-otherwise",
    "checks": "evaluate#the-gates",
    "checks.behaviour": "test",
    "checks.fairness": "evaluate#groups-that-are-to-be-treated-alike",
    "checks.policy": "evaluate#gatestoml",
    "checks.problem": "evaluate#what-kind-of-problem-it-is",
    "drift": "drift",
    "drift.budget": "drift#how-thresholds-are-solved",
    "foundation.cluster": "tune#on-a-cluster",
    "foundation.forms": "release#files-of-state",
    "foundation.settings": "index#the-road",
    "lineage": "reproduce#how-a-run-knows-what-made-it",
    "stats.sources": "profile#what-is-read-and-how-exactly",
    "stats.splits": "prepare#the-parts",
    "steps.ci": "ci",
    "steps.ci.choosing": "ci#which-notebooks-run",
    "steps.ci.validating": "ci#what-is-validated",
    "steps.deploy": "deploy",
    "steps.deploy.tokens": "deploy#tokens-for-others",
    "steps.deploy.traffic": "deploy#the-journal",
    "steps.doctor": "index#install-it-in-your-own-environment",
    "steps.evaluate": "evaluate",
    "steps.features": "features",
    "steps.monitor": "monitor",
    "steps.monitor.labels": "monitor#performance",
    "steps.monitor.sending": "monitor#where-alerts-go",
    "steps.monitor.slo": "monitor#rules-of-service",
    "steps.predict": "deploy#what-the-endpoint-speaks",
    "steps.predict.batch": "deploy#files-without-an-endpoint",
    "steps.prepare": "prepare",
    "steps.profile": "profile",
    "steps.promote": "promote",
    "steps.promote.governing": "promote#a-policy",
    "steps.promote.page": "promote#asking-for-a-review-and-answering",
    "steps.promote.rejudging": "promote#judged-anew-on-rows-of-your-own",
    "steps.recover": "promote#two-at-once-and-kill-9",
    "steps.register": "register",
    "steps.reproduce": "reproduce",
    "steps.retrain": "retrain",
    "steps.retrain.attempting": "retrain#how-often",
    "steps.retrain.backtest": "retrain#which-policy",
    "steps.retrain.fresh": "retrain#what-is-new",
    "steps.retrain.judging": "retrain#what-it-is-judged-on",
    "steps.retrain.ledger": "retrain#how-often",
    "steps.retrain.marks": "retrain#what-is-new",
    "steps.retrain.rows": "retrain#what-is-new",
    "steps.retrain.schedule": "schedule",
    "steps.retrain.scheduling": "schedule",
    "steps.retrain.source": "retrain#what-is-new",
    "steps.retrain.when": "retrain#when",
    "steps.status": "tutorial#where-things-stand",
    "steps.test": "test",
    "steps.track": "track",
    "steps.track.query": "track#the-table-of-runs",
    "steps.track.reuse": "track#not-executing-a-cell-again",
    "steps.track.table": "track#the-table-of-runs",
    "steps.tune": "tune",
    "steps.tune.folding": "tune#how-it-judges",
    "steps.why": "reproduce#why",
    "targets": "deploy#elsewhere",
    "targets.call": "deploy#what-the-endpoint-speaks",
    "targets.image": "deploy#what-runs-in-an-image",
    "targets.kserve": "deploy#kubernetes-and-kserve",
    "targets.kubernetes": "deploy#kubernetes-and-kserve",
    "targets.local": "deploy",
    "targets.local_address": "deploy#tls",
    "targets.local_deploy": "deploy",
    "targets.local_files": "deploy",
    "targets.local_follow": "deploy#follow-an-alias",
    "targets.local_tokens": "deploy#tokens-for-others",
    "targets.local_unit": "deploy#after-a-restart-of-the-machine",
    "targets.mlserver": "deploy#mlserver",
    "targets.plugin": "deploy#mlflows-plugins",
    "targets.pods": "deploy#kubernetes-and-kserve",
    "targets.ray": "deploy#ray",
    "targets.standby": "deploy",
    "tracking.behaviours": "test#what-is-kept",
    "tracking.leases": "team#several-at-once",
    "tracking.moves": "promote#two-at-once-and-kill-9",
    "tracking.pages": "lab#mlflows-own-pages",
    "tracking.policies": "promote#a-policy",
    "tracking.reach": "track#while-the-store-does-not-answer",
    "tracking.recall": "track#not-executing-a-cell-again",
    "tracking.spool": "track#while-the-store-does-not-answer",
    "tracking.store": "migrate#1-point-at-the-same-store",
    "tuners": "tune",
    "tuners.folds": "tune#how-it-judges",
    "tuners.journal": "tune#what-is-kept-and-what-goes-on",
    "tuners.metrics": "tune#how-it-judges",
    "tuners.ray": "tune#on-a-cluster",
    "tuners.space": "tune#where-it-looks",
}

_PACKAGE: Final = "mlops_magics."
_LABELS: Final = {"documentation", "docs"}
_WEB: Final = re.compile(r"https?://[^\s\x00-\x1f\x7f<>\"'`]+")
_HEADING: Final = re.compile(r"^(#{1,6}) +(.*?) *$")


def page_of(error: BaseException, asked: str = "") -> str:
    """Find what explains an error.

    Args:
        error: The error, as it was raised.
        asked: The module of the verb that was asked, for an error that no step had begun to make: a flag
            that it does not have.

    Returns:
        The page and its section; "" where the table has neither.
    """
    kind = KINDS.get(type(error).__name__)
    return kind or _where(error.__traceback__) or page_of_module(asked)


def page_of_module(module: str) -> str:
    """Find what explains an error that a module raised; "" where the table has no row of it."""
    name = module.removeprefix(_PACKAGE) if module.startswith(_PACKAGE) else ""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return MODULES.get(name, "")


def _where(trace: TracebackType | None) -> str:
    modules = []
    while trace is not None:
        modules.append(str(trace.tb_frame.f_globals.get("__name__", "")))
        trace = trace.tb_next
    ours = (module for module in reversed(modules) if module.startswith(_PACKAGE))
    return next((page for module in ours if (page := page_of_module(module))), "")


def site(said: str = "") -> str:
    """Name the address of the published site.

    Args:
        said: What the settings say; by default what the package's metadata do.

    Returns:
        The address, with a stroke at its end; "" where nobody published it.
    """
    base = said or _published()
    return f"{base.rstrip('/')}/" if base else ""


def address(page: str, base: str) -> str:
    """Write where a page lies on a site.

    Args:
        page: A page and, behind ``#``, its section.
        base: The site's address, as :func:`site` gives it.
    """
    name, hash_, section = page.partition("#")
    return f"{base}{'' if name == 'index' else f'{name}/'}{hash_}{section}"


def is_address(text: str) -> bool:
    """Tell whether a text is an address that a page can be behind."""
    return _WEB.fullmatch(text) is not None


@functools.cache
def _published() -> str:
    """Read what the package's metadata name as its documentation."""
    import importlib.metadata

    try:
        urls = importlib.metadata.metadata("mlops-magics").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    return documentation(urls)


def documentation(urls: list[str]) -> str:
    """Find the documentation among a package's addresses.

    Args:
        urls: ``label, address``, as metadata have them.

    Returns:
        Its address, or "".
    """
    for entry in urls:
        label, _, url = entry.partition(",")
        if label.strip().lower() in _LABELS and is_address(url.strip()):
            return url.strip()
    return ""


def folder() -> Path:
    """Find the pages: in the package where it was installed, in a checkout beside it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "pages"
    return inside if inside.is_dir() else package.parent / "docs"


def files() -> dict[str, Path]:
    """List the pages that came with the package, by name."""
    place = folder()
    found = {path.stem: path for path in sorted(place.glob("*.md"))}
    front = place.parent / "README.md"
    if "index" not in found and front.is_file():  # in a checkout
        found["index"] = front
    return found


def sections(text: str) -> dict[str, str]:
    """Take a page apart.

    Args:
        text: Its Markdown.

    Returns:
        By anchor, in their order, what stands from a heading to the next one of its rank or above.
    """
    lines = text.split("\n")
    heads: list[tuple[int, int, str]] = []  # line, rank, anchor
    fence = ""
    for number, line in enumerate(lines):
        mark = re.match(r"`{3,}", line)
        if mark and not fence:
            fence = mark[0]
        elif fence and line.strip() == fence:
            fence = ""
        elif not fence and (found := _HEADING.match(line)):
            heads.append((number, len(found[1]), anchor(found[2])))
    made = {}
    for place, (begun, rank, name) in enumerate(heads):
        ended = next((line for line, other, _ in heads[place + 1 :] if other <= rank), len(lines))
        made[name] = "\n".join(lines[begun:ended]).strip("\n") + "\n"
    return made


def anchor(heading: str) -> str:
    """Write a heading as MkDocs names it in an address."""
    plain = unicodedata.normalize("NFKD", heading.replace("`", "")).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())
