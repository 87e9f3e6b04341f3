"""A CronJob of Kubernetes, as JSON, which YAML parsers read alike: no root, bounds, secrets by reference."""

from __future__ import annotations

from typing import Final

import orjson

from mlops_magics.steps.retrain.schedule.base import Json, Kind, Plan, Texts, needed_image

_USER: Final = 10_001
_LATE: Final = 600  # seconds after which a run that could not begin is left out
_KEPT: Final = 3
_TMP: Final = "/tmp"  # noqa: S108 - the pod's own, empty at first


def _files(plan: Plan) -> Texts:
    return {f"{plan.name}.json": _written(_cronjob(plan)), "serviceaccount.json": _written(_account(plan))}


def _cronjob(plan: Plan) -> Json:
    job = {
        "backoffLimit": 0,  # a second try is the next run's: a gate that refuses is no accident
        "activeDeadlineSeconds": plan.timeout,
        "ttlSecondsAfterFinished": 86_400,
        "template": {"metadata": {"labels": _labels(plan)}, "spec": _pod(plan)},
    }
    spec = {
        "schedule": plan.cadence.cron,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": _LATE,
        "successfulJobsHistoryLimit": _KEPT,
        "failedJobsHistoryLimit": _KEPT,
        "jobTemplate": {"metadata": {"labels": _labels(plan)}, "spec": job},
    }
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": _about(plan), "spec": spec}


def _pod(plan: Plan) -> Json:
    container = {
        "name": "retrain",
        "image": needed_image(plan, "Kubernetes"),
        "imagePullPolicy": "IfNotPresent",
        # No shell takes these apart; only $(NAME) means something, and $$ is one dollar sign.
        "command": [word.replace("$(", "$$(") for word in plan.command],
        "workingDir": str(plan.folder),
        "env": _environment(plan),
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi"},
            "limits": {"cpu": "2", "memory": "4Gi"},
        },
        "securityContext": _confined(),
        "volumeMounts": [{"name": "tmp", "mountPath": _TMP}],
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}}],
    }


def _environment(plan: Plan) -> list[Json]:
    told = {"HOME": _TMP, "MLOPS_STATE": f"{_TMP}/mlops", **plan.variables}
    plain = [{"name": name, "value": value.replace("$(", "$$(")} for name, value in told.items()]
    return plain + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": plan.name, "key": name}}}
        for name in plan.secrets
    ]


def _confined() -> Json:
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _account(plan: Plan) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _about(plan),
        "automountServiceAccountToken": False,
    }


def _about(plan: Plan) -> Json:
    return {"name": plan.name, "labels": _labels(plan)}


def _labels(plan: Plan) -> Json:
    return {"app.kubernetes.io/name": plan.name, "app.kubernetes.io/managed-by": "mlops-magics"}


def _written(resource: Json) -> bytes:
    return orjson.dumps(resource, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _then(plan: Plan, folder: str) -> tuple[str, ...]:
    literals = " ".join(f"--from-literal={name}=${name}" for name in plan.secrets)
    secret = (f"kubectl create secret generic {plan.name} {literals}",) if plan.secrets else ()
    return (
        *secret,
        f"kubectl diff -f '{folder}'",
        f"kubectl apply -f '{folder}'",
        f"kubectl create job --from=cronjob/{plan.name} {plan.name}-now",
    )


KIND = Kind(_files, _then)
