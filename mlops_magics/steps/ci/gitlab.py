"""The pipeline for GitLab CI."""

from __future__ import annotations

from typing import Any, Final

from mlops_magics.steps.ci import commands, comments
from mlops_magics.steps.ci.project import Json, Project

PATH: Final = ".gitlab/mlops.yml"
_ON_MAIN: Final = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
_SUMMARY, _OUTPUTS, _COMMENT = "notebooks.md", "register.env", "comment.md"
_REASON: Final = 'REASON="Commit $CI_COMMIT_SHA, approved by $GITLAB_USER_LOGIN"'


def pipeline(project: Project) -> Json:
    """Describe the pipeline, to be included by the project's own.

    Args:
        project: What it is for.
    """
    jobs: dict[str, Any] = {
        "notebooks": _notebooks(project),
        "comment": _comment(project),
        "register": _register(project),
    }
    if project.model is not None:
        jobs["promote"] = _promote(project)
    return jobs


def _job(project: Project, stage: str, script: list[str], **variables: str) -> dict[str, Any]:
    folder = ['cd "$FOLDER"'] if project.folder else []
    told = {
        "GIT_DEPTH": "0",
        **({"FOLDER": project.folder} if project.folder else {}),
        "NOTEBOOKS": project.notebooks,
        "TIMEOUT": project.timeout,
        **variables,
    }
    return {
        "stage": stage,
        "image": f"python:{project.python}",
        "timeout": "2h",
        "variables": told,
        "before_script": [*folder, *project.installs],
        "script": script,
    }


def _notebooks(project: Project) -> Json:
    since = 'SINCE="${CI_MERGE_REQUEST_DIFF_BASE_SHA:-}"'  # empty but for a merge request: then all run
    job = _job(project, "test", [since, commands.validate(_SUMMARY, _COMMENT)])
    artifacts = _artifacts(project)
    artifacts["paths"].append(_inside(project, _COMMENT))
    return {
        **job,
        "interruptible": True,
        "rules": [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}, {"if": _ON_MAIN}],
        "artifacts": artifacts,
    }


def _comment(project: Project) -> Json:
    """Describe the job that shows the summary in the merge request: it runs nothing of the change."""
    inside = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID"
    return {
        "stage": "deploy",
        "image": f"python:{project.python}",
        "timeout": "5m",
        "variables": {"GIT_STRATEGY": "none", "COMMENT_FILE": _inside(project, _COMMENT)},
        "script": [comments.GITLAB],
        "needs": ["notebooks"],
        # Only here the token is to be seen: a variable of this environment is none of the other jobs'.
        "environment": {"name": "mlops-comment", "action": "access"},
        "resource_group": "mlops-comment-$CI_MERGE_REQUEST_IID",
        "allow_failure": True,
        "rules": [
            {"if": f'$CI_PIPELINE_SOURCE == "merge_request_event" && {inside}', "when": "always"},
        ],
    }


def _register(project: Project) -> Json:
    named = {} if project.model is None else {"MODEL": project.model}
    script = [
        commands.NEEDS_STORE,
        commands.register(_SUMMARY, _OUTPUTS, model=project.model is not None),
    ]
    artifacts = _artifacts(project)
    if project.model is not None:
        artifacts["reports"] = {"dotenv": _inside(project, _OUTPUTS)}
    return {
        **_job(project, "deploy", script, **named),
        "needs": ["notebooks"],
        "resource_group": "mlops-register",
        "rules": [{"if": _ON_MAIN}],
        "artifacts": artifacts,
    }


def _promote(project: Project) -> Json:
    asked = ': "${version:?No version was registered: there is nothing to promote.}"'
    script = [commands.NEEDS_STORE, asked, _REASON, 'VERSION="$version"', commands.PROMOTE]
    return {
        **_job(project, "deploy", script, MODEL=str(project.model)),
        "needs": ["register"],
        "environment": {"name": "production", "action": "start"},
        "rules": [{"if": _ON_MAIN, "when": "manual", "allow_failure": True}],
    }


def _artifacts(project: Project) -> dict[str, Any]:
    return {
        "when": "always",
        "expose_as": "Notebooks",  # a link in the merge request itself
        "paths": [_inside(project, _SUMMARY)],
        "expire_in": "30 days",
    }


def _inside(project: Project, name: str) -> str:
    return f"{project.folder}/{name}" if project.folder else name
