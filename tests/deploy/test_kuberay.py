"""The manifest for Kubernetes, checked as a dry run would: known kinds and fields, pods by Kubernetes' own schemas."""

import importlib
import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from shared import gateway_of

from shared_server.audit import Audit
from shared_server.metrics import Metrics
from shared_server.settings import ServeSettings

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
ROOT = Path(__file__).parents[2]
SERVICE = {"upgradeStrategy", "serveConfigV2", "rayClusterConfig"}
CLUSTER = {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
HEAD = {"rayStartParams", "template"}
WORKERS = HEAD | {"groupName", "replicas", "minReplicas", "maxReplicas"}
"""Fields that we use of KubeRay's v1 custom resource; the file was held against its definition, of KubeRay 1.6."""


@pytest.fixture(scope="module")
def manifest():
    documents = list(yaml.safe_load_all((ROOT / "deploy/kuberay.yaml").read_text("utf-8")))
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def pods(manifest):
    cluster = manifest["RayService"]["spec"]["rayClusterConfig"]
    return [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]


def test_it_has_only_fields_that_there_are(manifest):
    assert set(manifest) == {"ConfigMap", "RayService", "NetworkPolicy"}
    service = manifest["RayService"]
    assert service["apiVersion"] == "ray.io/v1"
    assert set(service["spec"]) == SERVICE
    cluster = service["spec"]["rayClusterConfig"]
    assert set(cluster) == CLUSTER
    assert set(cluster["headGroupSpec"]) == HEAD
    assert all(set(group) == WORKERS for group in cluster["workerGroupSpecs"])
    for start in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in start["rayStartParams"].values())


def test_pods_and_the_rest_are_what_kubernetes_takes(manifest, pods):
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    objects = [manifest["ConfigMap"], manifest["NetworkPolicy"]]
    objects += [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **pod} for pod in pods]
    for one in objects:
        validate.validate(one, validate.latest_version(), strict=True)


def test_the_settings_in_it_are_settings_of_ours(manifest):
    text = manifest["ConfigMap"]["data"]["serve.toml"]
    settings = msgspec.convert(tomllib.loads(text), ServeSettings)
    assert settings.tokens
    assert settings.engines[0].gpus == 1


def test_the_application_is_one_of_ours_and_of_ray_serves(manifest):
    config = yaml.safe_load(manifest["RayService"]["spec"]["serveConfigV2"])
    (application,) = config["applications"]
    module, _, name = application["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    schema = pytest.importorskip("ray.serve.schema", reason="Ray is not installed")
    schema.ServeDeploySchema.model_validate(config)


def test_nothing_runs_as_root_or_with_more_than_it_needs(pods):
    for pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            environment = {one["name"]: one.get("value") for one in container["env"]}
            assert environment["RAY_USAGE_STATS_ENABLED"] == "0"


def test_nobody_uses_the_cluster_without_its_token_and_the_operator_reaches_it(manifest):
    cluster = manifest["RayService"]["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    # of KubeRay's own all interfaces: on loopback nobody could say what to serve
    assert "dashboard-host" not in cluster["headGroupSpec"]["rayStartParams"]
    (rule,) = [rule for rule in manifest["NetworkPolicy"]["spec"]["ingress"] if "ports" in rule and "from" in rule]
    assert [port["port"] for port in rule["ports"]] == [8265]
    (peer,) = rule["from"]
    assert peer["podSelector"] == {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}}


def test_only_the_gateways_port_is_open_to_others(manifest):
    ingress = manifest["NetworkPolicy"]["spec"]["ingress"]
    open_to_all = [rule for rule in ingress if "from" not in rule]
    assert [port["port"] for rule in open_to_all for port in rule["ports"]] == [8000]


def test_the_versions_of_ray_agree(manifest):
    pinned = next(
        line for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines() if line.startswith("ray = ")
    )
    version = manifest["RayService"]["spec"]["rayClusterConfig"]["rayVersion"]
    assert f">={version.rpartition('.')[0]}" in pinned


def test_each_figure_of_the_board_is_one_that_is_counted():
    board = json.loads((ROOT / "deploy/grafana.json").read_text("utf-8"))
    queries = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    wanted = set(re.findall(r"unmask_\w+", queries))
    known = {
        name
        for line in Metrics(gateway_of(), Audit(None)).text().decode().splitlines()
        for name in re.findall(r"# TYPE (unmask_\w+)", line)
    }
    assert wanted
    assert {name.removesuffix("_bucket") for name in wanted} <= known
    # and each that is counted is on the board
    assert {name for name in known if not name.endswith("_created")} <= {
        name.removesuffix("_bucket") for name in wanted
    }
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
