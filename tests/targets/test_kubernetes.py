"""Manifests for Kubernetes and KServe: its own strict schema, our own rules, texts that stay texts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from manifests import problems
from served import ask_for
from written_targets import IMAGE, target_in

from mlops_magics.foundation.errors import UsageError

SCHEMA = "1.33"
REPLICAS = [None, (1, 1), (3, 3), (1, 4), (2, 10)]
ODD = [
    "y",
    "n",
    "on",
    "no",
    "null",
    "true",
    "yes",
    "x-0123",
    "e1e3",
]  # names that YAML may take for something else
ODDER = [
    "0123",
    "1e3",
    "~",
    "y",
    "on",
    "null",
    "12:30:45",
    "a: b",
    "a\n  hostNetwork: true",
    "{{ x }}",
    "0x1f",
    "",
]


def manifests(tmp: Path, target: str = "kubernetes", **changes: Any) -> list[dict[str, Any]]:
    request = ask_for(tmp, **{"image": IMAGE, **changes})
    folder = target_in(tmp / "project", target).deploy(request).folder
    assert folder is not None
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def of_kind(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("workers", [1, 3])
def test_they_hold_to_the_schema_and_to_our_rules(
    tmp_path: Path, replicas: tuple[int, int] | None, workers: int
) -> None:
    resources = manifests(tmp_path, replicas=replicas, workers=workers)
    assert problems(resources) == []
    for resource in resources:
        kubernetes_validate.validate(resource, SCHEMA, strict=True)
    kinds = {resource["kind"] for resource in resources}
    least, most = replicas or (1, 1)
    assert kinds == {"Deployment", "NetworkPolicy", "Service", "ServiceAccount"} | (
        {"HorizontalPodAutoscaler"} if least < most else set()
    ) | ({"PodDisruptionBudget"} if least > 1 else set())
    assert of_kind(resources, "Deployment")["spec"].get("replicas") == (None if least < most else least)
    for text in (json.dumps(resource) for resource in resources):
        assert '"secretKeyRef"' not in text


@pytest.mark.parametrize("replicas", REPLICAS)
def test_an_inference_service_holds_to_our_rules_and_its_pod_to_the_schema(
    tmp_path: Path, replicas: tuple[int, int] | None
) -> None:
    (resource,) = manifests(tmp_path, "kserve", replicas=replicas)
    assert problems([resource]) == []
    assert set(resource) == {"apiVersion", "kind", "metadata", "spec"}
    assert (resource["apiVersion"], resource["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert set(resource["spec"]) == {"predictor"}
    predictor = dict(resource["spec"]["predictor"])
    assert (predictor.pop("minReplicas"), predictor.pop("maxReplicas")) == (replicas or (1, 1))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": resource["metadata"], "spec": predictor}
    kubernetes_validate.validate(pod, SCHEMA, strict=True)
    assert [item["name"] for item in predictor["containers"]] == ["kserve-container"]


@pytest.mark.parametrize("target", ["kubernetes", "kserve"])
@pytest.mark.parametrize("odd", ODD)
def test_names_that_yaml_takes_for_something_else_stay_texts(tmp_path: Path, target: str, odd: str) -> None:
    resources = manifests(tmp_path, target, name=odd, model=odd)
    assert problems(resources) == []
    for path in sorted((tmp_path / "project" / "deploy" / odd / target).glob("*.json")):
        assert yaml.safe_load(path.read_text()) == json.loads(path.read_text())
    for resource in resources:
        assert resource["metadata"]["name"] == odd
        assert resource["metadata"]["labels"]["app.kubernetes.io/name"] == odd


@pytest.mark.parametrize("target", ["kubernetes", "kserve"])
@pytest.mark.parametrize("odd", ODDER)
def test_a_models_name_of_any_text_arrives_as_that_text(tmp_path: Path, target: str, odd: str) -> None:
    resources = manifests(tmp_path, target, model=odd)
    assert problems(resources) == []
    for path in sorted((tmp_path / "project" / "deploy" / "flights" / target).glob("*.json")):
        assert yaml.safe_load(path.read_text())["metadata"]["annotations"]["mlops-magics/model"] == odd


@pytest.mark.parametrize("target", ["kubernetes", "kserve"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": None}, "Which image"),
        ({"image": "a b"}, "container image"),
        *[
            ({"name": name}, "name of a service")
            for name in ("0123", "1e3", "Flights", "a_b", "a.b", "a b", "a" * 51)
        ],
        ({"port": 22}, "port 22"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, target: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        manifests(tmp_path, target, **changes)
    assert list((tmp_path / "project").iterdir()) == []


def test_the_commands_are_named_and_the_secret_is_made_by_hand(tmp_path: Path) -> None:
    target = target_in(tmp_path / "project", "kubernetes")
    then = target.deploy(ask_for(tmp_path, image=IMAGE)).then
    assert "kubectl apply -f deploy/flights/kubernetes" in then
    assert then[0] == "kubectl create secret generic flights-token --from-literal=sha256=$MLOPS_TOKEN_SHA256"


def test_another_version_differs_in_fields(tmp_path: Path) -> None:
    target = target_in(tmp_path / "project", "kubernetes")
    target.deploy(ask_for(tmp_path, image=IMAGE, replicas=(1, 3)))
    later = ask_for(tmp_path, 2.0, image=IMAGE, replicas=(2, 2))
    told = {item.where: (item.what, item.before, item.after) for item in target.plan(later)}
    assert told["deployment.json: spec.replicas"] == ("added", "", "2")
    assert told["deployment.json: metadata.labels.app.kubernetes.io/version"] == ("changed", '"1"', '"2"')
    assert told["horizontalpodautoscaler.json"][0] == "removed"
    assert told["poddisruptionbudget.json"][0] == "added"


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(resource: dict[str, Any]) -> None:
        *way, last = path
        place: Any = resource
        for step in way:
            place = place[step]
        place[last] = to

    return change


SPEC = ("spec", "template", "spec")
FIRST = (*SPEC, "containers", 0)
PLANTED: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("Deployment", _set("metadata", "name", to="Flights"), "no DNS label"),
    ("Deployment", _set("metadata", "labels", "x", to=True), "no value of a label"),
    ("Deployment", _set("metadata", "labels", "x", to="a b"), "no value of a label"),
    ("Deployment", _set("metadata", "annotations", "x", to=1), "no text"),
    ("Deployment", _set("spec", "selector", "matchLabels", to={"a": "b"}), "Deployment selects other pods"),
    ("Deployment", _set("spec", "replicas", to=2), "how many"),
    ("Deployment", _set(*SPEC, "hostNetwork", to=True), "hostNetwork is set"),
    ("Deployment", _set(*SPEC, "serviceAccountName", to="default"), "account is another"),
    ("Deployment", _set(*SPEC, "automountServiceAccountToken", to=True), "token is mounted"),
    ("Deployment", _set(*SPEC, "volumes", to=[]), "volume is missing"),
    ("Deployment", _set(*FIRST, "securityContext", "runAsUser", to=0), "runs as root"),
    (
        "Deployment",
        _set(*FIRST, "securityContext", "readOnlyRootFilesystem", to=False),
        "readOnlyRootFilesystem",
    ),
    ("Deployment", _set(*FIRST, "securityContext", "capabilities", to={}), "capabilities"),
    ("Deployment", _set(*FIRST, "livenessProbe", "httpGet", "port", to=1), "asks another port"),
    ("Deployment", _set(*FIRST, "readinessProbe", to={}), "no readinessProbe"),
    ("Deployment", _set(*FIRST, "resources", to={}), "no bounds"),
    ("Deployment", _set(*FIRST, "resources", "limits", "cpu", to="many"), "no quantity"),
    ("Deployment", _set(*FIRST, "env", to=[{"name": "A", "value": 123}]), "A is no text"),
    ("Deployment", _set(*FIRST, "env", to=[{"name": "MY_TOKEN", "value": "x"}]), "MY_TOKEN is a secret"),
    ("Service", _set("spec", "selector", to={}), "Service selects other pods"),
    ("Service", _set("spec", "ports", 0, "targetPort", to="other"), "another port"),
    ("NetworkPolicy", _set("spec", "egress", to=[{}]), "deny by default"),
    ("NetworkPolicy", _set("spec", "ingress", 0, "ports", 0, "port", to=22), "opens another port"),
    ("NetworkPolicy", _set("spec", "podSelector", "matchLabels", to={"a": "b"}), "NetworkPolicy selects"),
    ("PodDisruptionBudget", _set("spec", "selector", "matchLabels", to={"a": "b"}), "Budget selects"),
    ("HorizontalPodAutoscaler", _set("spec", "scaleTargetRef", "name", to="x"), "scales something else"),
    ("HorizontalPodAutoscaler", _set("spec", "minReplicas", to=99), "out of order"),
    ("ServiceAccount", _set("kind", to="Secret"), "secret is written"),
]


@pytest.mark.parametrize(("kind", "plant", "told"), PLANTED)
def test_the_rules_find_what_is_planted(
    tmp_path: Path, kind: str, plant: Callable[[dict[str, Any]], None], told: str
) -> None:
    resources = copy.deepcopy(manifests(tmp_path, replicas=(2, 5)))
    assert problems(resources) == []
    plant(of_kind(resources, kind))
    if kind == "ServiceAccount":  # without it the other rules have nothing to look at
        resources = [resource for resource in resources if resource["kind"] == "Secret"]
    assert any(told in problem for problem in problems(resources)), problems(resources)
