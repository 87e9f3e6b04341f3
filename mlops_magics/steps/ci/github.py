"""The workflow for GitHub Actions."""

from __future__ import annotations

from typing import Any, Final

from mlops_magics.steps.ci import commands, comments
from mlops_magics.steps.ci.project import Json, Project

PATH: Final = ".github/workflows/mlops.yml"
_RUNNER: Final = "ubuntu-24.04"
_MINUTES: Final = 120
# By commit: a tag can be moved to other code.
_CHECKOUT: Final = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
_PYTHON: Final = "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065"
_ON_MAIN: Final = "github.event_name == 'push' && github.ref_name == github.event.repository.default_branch"
_READ: Final = {"contents": "read"}
_SUMMARY, _OUTPUTS = '"$GITHUB_STEP_SUMMARY"', '"$GITHUB_OUTPUT"'
_STORE: Final = ("MLOPS_STORE", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
_ENVIRONMENT: Final = "production"
# Who approved is in no variable; gh is part of GitHub's runners. An environment without reviewers holds up no
# job, so this one asks: where nobody approved, or GitHub does not say who did, nothing is promoted.
_APPROVER: Final = f"""\
APPROVER="$(gh api "repos/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID/approvals" \
--jq '[.[] | select(.state == "approved" and any(.environments[]; .name == "{_ENVIRONMENT}")) \
| .user.login] | unique | join(", ")')"
: "${{APPROVER:?Nobody approved. Give the environment {_ENVIRONMENT} required reviewers.}}"
REASON="Commit $COMMIT, approved by $APPROVER"
"""


def workflow(project: Project) -> Json:
    """Describe the workflow.

    Args:
        project: What it is for.
    """
    jobs: dict[str, Any] = {
        "notebooks": _notebooks(project),
        "comment": _comment(),
        "register": _register(project),
    }
    if project.model is not None:
        jobs["promote"] = _promote(project)
    described: dict[str, Any] = {
        "name": "Notebooks",
        "on": {"pull_request": {}, "push": {}, "workflow_dispatch": {}},
        "permissions": _READ,
        "env": {"NOTEBOOKS": project.notebooks, "TIMEOUT": project.timeout},
    }
    if project.folder:
        described["defaults"] = {"run": {"working-directory": project.folder}}
    return {**described, "jobs": jobs}


def _notebooks(project: Project) -> Json:
    since = "${{ github.event.pull_request.base.sha }}"  # empty elsewhere: then all run
    validating = {
        "name": "Validate the notebooks",
        "env": {"SINCE": since},
        "run": commands.validate(_SUMMARY, '"$RUNNER_TEMP/comment.md"'),
    }
    handing = {
        "id": "comment",
        "name": "Hand the comment on",
        "if": "always() && github.event_name == 'pull_request'",
        "run": comments.HAND_ON,
    }
    return {
        # A branch that is pushed is validated by its pull request.
        "if": f"github.event_name != 'push' || ({_ON_MAIN})",
        "runs-on": _RUNNER,
        "timeout-minutes": _MINUTES,
        "concurrency": {
            "group": "mlops-notebooks-${{ github.event.pull_request.number || github.ref }}",
            "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
        },
        "outputs": {"comment": "${{ steps.comment.outputs.comment }}"},
        "steps": [*_begin(project), validating, handing],
    }


def _comment() -> Json:
    """Describe the job that shows the summary in the pull request: it runs nothing of the change."""
    posting = {
        "name": "Post the comment, or write it anew",
        "env": {
            "GH_TOKEN": "${{ github.token }}",
            "NUMBER": "${{ github.event.pull_request.number }}",
            "COMMENT": "${{ needs.notebooks.outputs.comment }}",
        },
        "run": comments.GITHUB,
        "working-directory": ".",
    }
    return {
        "needs": "notebooks",
        # What comes from a fork gets no right to write: its summary is on the page of the run.
        "if": "always() && needs.notebooks.outputs.comment != '' && "
        "github.event.pull_request.head.repo.full_name == github.repository",
        "runs-on": _RUNNER,
        "timeout-minutes": 5,
        "permissions": {"pull-requests": "write"},
        "concurrency": {
            "group": "mlops-comment-${{ github.event.pull_request.number }}",
            "cancel-in-progress": False,
        },
        "steps": [posting],
    }


def _register(project: Project) -> Json:
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in (*_STORE, *project.secrets)}
    named = {} if project.model is None else {"MODEL": project.model}
    running = {
        "id": "register",
        "name": "Run what has changed on the real store",
        "env": {**secrets, **named},
        "run": "\n".join(
            [
                commands.NEEDS_STORE,
                commands.register(_SUMMARY, _OUTPUTS, model=project.model is not None),
                "",
            ]
        ),
    }
    outputs = (
        {} if project.model is None else {"outputs": {"version": "${{ steps.register.outputs.version }}"}}
    )
    return {
        "needs": "notebooks",
        "if": _ON_MAIN,
        "runs-on": _RUNNER,
        "timeout-minutes": _MINUTES,
        # One at a time. Who waits may be left out for who comes later, who then runs for both.
        "concurrency": {"group": "mlops-register", "cancel-in-progress": False},
        **outputs,
        "steps": [*_begin(project), running],
    }


def _promote(project: Project) -> Json:
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in _STORE}
    moving = {
        "name": "Promote the version that was approved",
        "env": {
            **secrets,
            "MODEL": project.model,
            "VERSION": "${{ needs.register.outputs.version }}",
            "COMMIT": "${{ github.sha }}",
            "GH_TOKEN": "${{ github.token }}",
        },
        "run": f"{commands.NEEDS_STORE}\n{_APPROVER}{commands.PROMOTE}\n",
    }
    return {
        "needs": "register",
        "if": "needs.register.outputs.version != ''",
        "runs-on": _RUNNER,
        "timeout-minutes": _MINUTES,
        "environment": {"name": _ENVIRONMENT},
        "permissions": {**_READ, "actions": "read"},
        "steps": [*_begin(project), moving],
    }


def _begin(project: Project) -> list[Json]:
    return [
        {
            "name": "Check out with its history (actions/checkout 4.2.2)",
            "uses": _CHECKOUT,
            "with": {"fetch-depth": 0, "persist-credentials": False},
        },
        {
            "name": "Set up Python (actions/setup-python 5.6.0)",
            "uses": _PYTHON,
            "with": {"python-version": project.python},
        },
        {
            "name": "Install what the notebooks need",
            "run": "".join(f"{line}\n" for line in project.installs),
        },
    ]
