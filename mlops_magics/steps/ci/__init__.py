"""CI: the workflow that validates a project's notebooks, and the validation itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, overload

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.ci import comments, file, github, gitlab
from mlops_magics.steps.ci.project import Json, Project, checked_glob, project
from mlops_magics.steps.ci.result import Validated, Validation, Workflow
from mlops_magics.steps.ci.summary import markdown
from mlops_magics.steps.ci.validating import Asked, refuse_without_store, validation

__all__ = ["Validated", "Validation", "Workflow", "ci"]

System = Literal["github", "gitlab"]
_ASKED: Mapping[str, str] = {
    "github": "Give the environment production required reviewers: without an approval nothing is promoted.",
    "gitlab": "Protect the environment production: whoever may deploy to it starts the job, and so approves.",
}
_NOTED: Final = (
    "For the comment in a merge request: an access token of the project that may write notes, as the "
    "variable MLOPS_NOTE_TOKEN of the environment mlops-comment, and of no other."
)


@overload
def ci(
    *,
    system: System = "github",
    notebooks: str = "**/*.ipynb",
    model: str | None = None,
    secrets: tuple[str, ...] = (),
    timeout: str = "30m",
    into: Path | None = None,
    plan: bool = False,
    remove: bool = False,
    run: Literal[False] = False,
    settings: Settings | None = None,
) -> Workflow: ...
@overload
def ci(
    *,
    notebooks: str = "**/*.ipynb",
    model: str | None = None,
    timeout: str = "30m",
    run: Literal[True],
    since: str | None = None,
    all: bool = False,
    register: bool = False,
    summary: Path | None = None,
    comment: Path | None = None,
    outputs: Path | None = None,
    settings: Settings | None = None,
) -> Validation: ...
def ci(  # noqa: PLR0913 - what is written, and what that then asks for
    *,
    system: System = "github",
    notebooks: str = "**/*.ipynb",
    model: str | None = None,
    secrets: tuple[str, ...] = (),
    timeout: str = "30m",
    into: Path | None = None,
    plan: bool = False,
    remove: bool = False,
    run: bool = False,
    since: str | None = None,
    all: bool = False,  # noqa: A002 - the option's name
    register: bool = False,
    summary: Path | None = None,
    comment: Path | None = None,
    outputs: Path | None = None,
    settings: Settings | None = None,
) -> Workflow | Validation:
    """Write the workflow with which a CI validates this project's notebooks, or do what it asks for.

    The workflow has up to four jobs. ``notebooks`` runs for each pull request and validates the notebooks
    that something changed for, on a store that is thrown away. ``comment`` shows in the pull request what
    came of it, unless that is from a fork. ``register`` runs on the main branch only, and runs what has
    changed on the real store, whose address is a secret of the CI. ``promote`` is there where a model is
    named: it waits for an approval, and promotes the very version that was registered.

    With ``--run`` the notebooks are validated here and now: each is executed from the top and its outputs are
    compared (nbval), its ``%%mlops_test`` cells are run, and the gates of the models that it tracked must
    hold. A command ends with exit code 1 where one of these fails.

    Args:
        system: What runs the workflow.
        notebooks: Which notebooks, as a glob from the project's root.
        model: The registered model whose new versions may be promoted.
        secrets: Names of secrets that the notebooks need beside those of the store, with commas between them.
        timeout: How long one notebook may take: 90s, 30m, 2h.
        into: The folder to write below, in place of the repository's top.
        plan: Show what would be written, and write nothing.
        remove: Delete the workflow, if nobody has changed it.
        run: Validate the notebooks now.
        since: A commit, branch or tag: leave out the notebooks for which nothing has changed since. ``last``
            is the commit up to which all ran on this store. By default all run.
        all: Run all, whatever ``--since`` says.
        register: Run on the project's own store, so that what the notebooks register is kept.
        summary: A file that a summary in Markdown is added to.
        comment: A file that the same is written to as a comment: cut where it is too long for one.
        outputs: A file that ``version=N`` is added to where a version of the model was registered.
        settings: Where things are; found from the current folder by default.

    Returns:
        The Workflow; with ``--run`` the Validation.

    Raises:
        RefusedError: The file was changed by hand or is another's; or nothing says where to register.
        UsageError: An option has no meaning here, or a name holds what a workflow would read something into.
        NotFoundError: There is no notebook, or no workflow to remove.
        MissingExtraError: nbval is not installed.
    """
    settings = settings or Settings.discover()
    length = seconds(timeout, "--timeout")
    if not run:
        _check_written(
            since is not None or all or register, (summary, comment, outputs) != (None, None, None)
        )
        about, top = project(settings.root, notebooks, model, secrets, timeout.strip())
        return _workflow(system, about, (into or top).absolute(), plan=plan, remove=remove)
    if plan or remove or into is not None or secrets:
        raise UsageError("--run validates, and writes no workflow.", "Say one of them a line.")
    if register:
        refuse_without_store(settings)
    named = None if model is None else checked_name(model, "model")
    asked = Asked(checked_glob(notebooks), "" if all else since or "", register, named, length)
    found = validation(settings, asked)
    _tell(found, summary, comment, outputs)
    return found


def _tell(found: Validation, summary: Path | None, comment: Path | None, outputs: Path | None) -> None:
    if summary is not None:
        _add(summary, markdown(found))
    if comment is not None:
        _put(comment, comments.comment(found))
    if outputs is not None and found.version is not None:
        _add(outputs, f"version={found.version}\n")


def _check_written(validates: bool, tells: bool) -> None:  # noqa: FBT001 - two questions
    if validates or tells:
        raise UsageError(
            "--since, --all, --register, --summary, --comment and --outputs are for validating.",
            "Add --run.",
        )


def _workflow(system: System, about: Project, top: Path, *, plan: bool, remove: bool) -> Workflow:
    if plan and remove:
        raise UsageError("--plan and --remove are different things.", "Say one of them.")
    name, content = _described(system, about)
    path = top / name
    if remove:
        file.remove(path)
        return Workflow(system, name, "removed")
    changes = file.differences(path, name, content)
    if not plan:
        file.write(path, content)
    return Workflow(
        system, name, "planned" if plan else "written", _jobs(about), _then(system, about), changes
    )


def _described(system: System, about: Project) -> tuple[str, Json]:
    if system == "gitlab":
        return gitlab.PATH, gitlab.pipeline(about)
    return github.PATH, github.workflow(about)


def _jobs(about: Project) -> tuple[tuple[str, str], ...]:
    jobs = [
        ("notebooks", "validates the notebooks that something changed for, on a store that is thrown away"),
        ("comment", "shows what came of it in the pull request, in one comment"),
        ("register", "on the main branch: runs what has changed on the real store"),
    ]
    if about.model is not None:
        jobs.append(
            ("promote", f"after an approval: promotes the version of {about.model} that was registered")
        )
    return tuple(jobs)


def _then(system: System, about: Project) -> tuple[str, ...]:
    where = "the repository's secrets" if system == "github" else "the project's masked, protected variables"
    told = [
        f"Put the store's address into {where} as MLOPS_STORE; its user and password, where it has them, "
    ]
    told[0] += "as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
    if system == "gitlab":
        told.append(_NOTED)
        told.append(f"Name the file in .gitlab-ci.yml: include: [{{local: /{gitlab.PATH}}}]")
    if about.model is not None:
        told.append(_ASKED[system])
    if not about.pinned:
        told.append("No requirements.txt says what the notebooks need: only mlops-magics would be installed.")
    return tuple(told)


def _add(path: Path, text: str) -> None:
    """Add to a file: a CI keeps those of several steps in one."""
    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.", "Name another file.") from error
    _put(path, before + text)


def _put(path: Path, text: str) -> None:
    try:
        write_atomic(path, text)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror}.", "Name another file."
        ) from error
