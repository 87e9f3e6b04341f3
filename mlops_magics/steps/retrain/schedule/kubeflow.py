"""A pipeline of one step for Kubeflow Pipelines 2: its intermediate form, as JSON, which is YAML too."""

from __future__ import annotations

from typing import Final

import orjson

from mlops_magics.steps.retrain.schedule.base import Json, Kind, Plan, Texts, forbidden, needed_image

_SCHEMA: Final = "2.1.0"
_SDK: Final = "kfp-2.17.3"  # whose form this is
_PLACEHOLDER: Final = "{{$"
_CPU, _MEMORY = 2.0, 4.0  # cores, GB


def _files(plan: Plan) -> Texts:
    forbidden(plan, _PLACEHOLDER, "Kubeflow")
    forbidden(plan, "$(", "Kubernetes")
    documents = [_pipeline(plan), *([_platform(plan)] if plan.secrets else [])]
    text = b"---\n".join(map(_written, documents))
    return {f"{plan.name}.yaml": text}


def _pipeline(plan: Plan) -> Json:
    container = {
        "image": needed_image(plan, "Kubeflow"),
        # The image's own folder is not known here: the shell goes there, and becomes the command.
        "command": ["sh", "-c", 'cd -- "$0" && exec "$@"', str(plan.folder)],
        "args": list(plan.command),
        "env": [{"name": name, "value": value} for name, value in plan.variables.items()],
        "resources": {
            "cpuLimit": _CPU,
            "memoryLimit": _MEMORY,
            "resourceCpuLimit": f"{_CPU:g}",
            "resourceMemoryLimit": f"{_MEMORY:g}G",
        },
    }
    task = {
        "cachingOptions": {},  # the same words are other data each time
        "componentRef": {"name": "comp-retrain"},
        "taskInfo": {"name": "retrain"},
    }
    return {
        "components": {"comp-retrain": {"executorLabel": "exec-retrain"}},
        "deploymentSpec": {"executors": {"exec-retrain": {"container": container}}},
        "pipelineInfo": {"name": plan.name},
        "root": {"dag": {"tasks": {"retrain": task}}},
        "schemaVersion": _SCHEMA,
        "sdkVersion": _SDK,
    }


def _platform(plan: Plan) -> Json:
    """Say which secrets the step gets: a document of its own, in the form of the Kubernetes platform."""
    pairs = [{"envVar": name, "secretKey": name} for name in plan.secrets]
    secret = {"secretName": plan.name, "keyToEnv": pairs, "optional": False}
    executors = {"exec-retrain": {"secretAsEnv": [secret]}}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _written(document: Json) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _then(plan: Plan, folder: str) -> tuple[str, ...]:
    # Kubeflow's cron has seconds in front.
    literals = " ".join(f"--from-literal={name}=${name}" for name in plan.secrets)
    secret = (f"kubectl create secret generic {plan.name} {literals}",) if plan.secrets else ()
    call = (
        f"kfp.Client().create_recurring_run(experiment_id, '{plan.name}', "
        "max_concurrency=1, no_catchup=True, "
        f"cron_expression='0 {plan.cadence.cron}', pipeline_package_path='{folder}/{plan.name}.yaml')"
    )
    return (*secret, f"In Python, with kfp: {call}")


KIND = Kind(_files, _then)
