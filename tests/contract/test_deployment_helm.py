"""The Helm chart: what it renders to is what Kubernetes takes, and says of each program what that needs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from rowlock_client import __version__
from server.config import PREFIX, Settings, variable_name
from tests.helm import CHART, faults, helm, rendered

# The first run on a machine builds Helm.
pytestmark = pytest.mark.timeout(900)

EVERYTHING = (
    "edge.enabled=true",
    "grpcRoute.enabled=true",
    "grpcRoute.parentRefs[0].name=front",
    "grpcRoute.hostnames[0]=tickets.example.org",
    "ingress.enabled=true",
    "ingress.className=nginx",
    "ingress.tlsSecret=tickets",
    "tls.existingSecret=inner",
    "settings.ROWLOCK_TRUSTED_PROXIES=10.0.0.0/8",
    "secretSettings[0].name=ROWLOCK_SMTP_URL",
    "secretSettings[0].secret=mail",
    "secretSettings[0].key=url",
    "database.migrationsKey=direct",
    "console.ingress.enabled=true",
    "console.ingress.tlsSecret=office",
    "networkPolicy.consoleFrom[0].namespaceSelector.matchLabels.name=ingress",
    "metrics.annotations=true",
    "metrics.podMonitor.enabled=true",
    "metrics.podMonitor.labels.release=prometheus",
)
PLAIN = (
    "api.autoscaling.enabled=false",
    "worker.autoscaling.enabled=false",
    "gateway.enabled=false",
    "console.enabled=false",
    "networkPolicy.enabled=false",
    "migrations.enabled=false",
)
CHOICES = pytest.mark.parametrize("values", [(), EVERYTHING, PLAIN], ids=["default", "everything", "plain"])
FOREIGN = {"GRPCRoute", "PodMonitor"}
"""Kinds that a definition brings, not Kubernetes itself."""


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for found in objects:
        if found["kind"] in {"Deployment", "Job"}:
            yield found["metadata"]["name"], found["spec"]["template"]["spec"]


def environment(pod: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in pod["containers"][0]["env"]}


def test_helm_finds_nothing_to_complain_of() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@CHOICES
def test_every_object_is_what_kubernetes_takes(values: tuple[str, ...]) -> None:
    objects = rendered(*values)
    assert len({(found["kind"], found["metadata"]["name"]) for found in objects}) == len(objects)
    assert [fault for found in objects if found["kind"] not in FOREIGN for fault in faults(found)] == []


def test_the_chart_is_for_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_a_wrong_field_would_be_found() -> None:
    found = rendered()[0]
    found["spec"]["podSelektor"] = found["metadata"]["labels"]["x"] = 5
    assert len(faults(found)) == 1, "the label is no text"
    del found["metadata"]["labels"]["x"]
    assert faults(found) == [f"{found['kind']}.spec: no field podSelektor"]


@CHOICES
def test_what_belongs_together_finds_each_other(values: tuple[str, ...]) -> None:
    objects = rendered(*values)
    deployments = of_kind(objects, "Deployment")
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in deployments.values()]
    for kind in ("Service", "PodDisruptionBudget"):
        for name, found in of_kind(objects, kind).items():
            selector = found["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            assert sum(wanted <= one.items() for one in labels) == 1, name
    for found in of_kind(objects, "HorizontalPodAutoscaler").values():
        target = found["spec"]["scaleTargetRef"]["name"]
        assert "replicas" not in deployments[target]["spec"], "two would decide how many there are"


@CHOICES
def test_what_is_set_is_a_setting(values: tuple[str, ...]) -> None:
    known = {variable_name(name) for name in Settings.model_fields}
    for name, pod in pods(rendered(*values)):
        assert set(environment(pod)) <= known, name
    texts = "".join(path.read_text() for path in CHART.rglob("*") if path.is_file())
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+[A-Z]\b", texts)) <= known


@CHOICES
def test_no_pod_may_do_more_than_it_must(values: tuple[str, ...]) -> None:
    for name, pod in pods(rendered(*values)):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert not pod["automountServiceAccountToken"], name
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"requests", "limits"} == set(container["resources"]), name


@CHOICES
def test_secrets_are_named_and_not_told(values: tuple[str, ...]) -> None:
    objects = rendered(*values)
    assert not of_kind(objects, "Secret")
    for name, pod in pods(objects):
        for variable, value in environment(pod).items():
            if re.search(r"(_URL|SECRET|PASSWORD|SECRETS|_KEY)$", variable):
                assert isinstance(value, dict), (name, variable)


@CHOICES
def test_pods_get_longer_to_stop_than_the_programs_take(values: tuple[str, ...]) -> None:
    for name, pod in pods(rendered(*values)):
        settings = environment(pod)
        drain = settings.get("ROWLOCK_DRAIN_TIME") or settings.get("ROWLOCK_GATEWAY_DRAIN_TIME")
        if drain is None:
            continue
        before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= int(drain.removesuffix("s")) + before + 5, name


def test_a_database_that_is_away_has_no_server_started_again() -> None:
    server = dict(pods(rendered()))["box-rowlock-api"]["containers"][0]
    assert "grpc" in server["readinessProbe"]
    assert server["livenessProbe"].keys() & {"grpc", "httpGet"} == {"httpGet"}


def test_migrations_run_before_anything_new_and_over_a_direct_connection() -> None:
    job = of_kind(rendered(*EVERYTHING), "Job")["box-rowlock-migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert environment(pod)["ROWLOCK_DATABASE_URL"]["secretKeyRef"]["key"] == "direct"
    # A hook runs before the objects of the release are there: it may need none of them.
    assert "serviceAccountName" not in pod
    assert not [one for one in pod["volumes"] if "configMap" in one]


def test_the_console_has_nothing_but_the_servers_to_call() -> None:
    objects = rendered(*EVERYTHING)
    pod = dict(pods(objects))["box-rowlock-console"]
    assert not [value for value in environment(pod).values() if isinstance(value, dict)], "it needs no secret"
    assert environment(pod)["ROWLOCK_CONSOLE_SERVERS"].partition(":")[0] in of_kind(objects, "Service")
    assert [item["key"] for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", [])] == [
        "ca.crt"
    ]
    policies = of_kind(objects, "NetworkPolicy")
    to_servers, to_names = policies["box-rowlock-console"]["spec"]["egress"]
    assert to_servers["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
    assert {port["port"] for port in to_names["ports"]} == {53}
    callers = policies["box-rowlock-api"]["spec"]["ingress"][0]["from"]
    assert "console" in {one["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in callers}
    assert "ingress" not in of_kind(rendered(), "NetworkPolicy")["box-rowlock-console"]["spec"], "nobody, unless named"


def test_the_numbers_of_every_program_are_found() -> None:
    objects = rendered(*EVERYTHING)
    collected: dict[str, str] = {}
    for found in of_kind(objects, "PodMonitor").values():
        (endpoint,) = found["spec"]["podMetricsEndpoints"]
        (roles,) = found["spec"]["selector"]["matchExpressions"]
        collected |= dict.fromkeys(roles["values"], endpoint["relabelings"][0]["replacement"])
    alerts = (CHART.parents[1] / "monitoring" / "alerts.yml").read_text()
    for job in re.findall(r'job(?:=~?|!=)"([^"]+)', alerts):
        assert any(re.fullmatch(job, name) for name in collected.values()), job
    for name, found in of_kind(objects, "Deployment").items():
        role = name.removeprefix("box-rowlock-")
        template = found["spec"]["template"]
        ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        assert ("metrics" in ports) == (role in collected), name
        assert template["metadata"].get("annotations", {}).get("prometheus.io/port") == (
            str(ports["metrics"]) if "metrics" in ports else None
        ), name


def test_streams_have_pods_of_their_own_where_that_is_wanted() -> None:
    objects = rendered(*EVERYTHING)
    roles = {name: environment(pod).get("ROWLOCK_ROLES") for name, pod in pods(objects)}
    assert roles["box-rowlock-edge"] == "edge"
    assert roles["box-rowlock-api"] == "api,edge"
    streams, others = of_kind(objects, "GRPCRoute")["box-rowlock"]["spec"]["rules"]
    assert streams["matches"][0]["method"] == {"service": "rowlock.v1.EventService", "method": "WatchSeats"}
    assert streams["backendRefs"][0]["name"] in of_kind(objects, "Service")
    assert others["backendRefs"][0]["name"] in of_kind(objects, "Service")


@pytest.mark.parametrize(
    "value",
    [
        "api.replicas=0",
        "settings.LOG_LEVEL=debug",
        "image.digest=latest",
        "wroker.replicas=2",
        "database.existingSecret=",
    ],
)
def test_wrong_values_are_refused(value: str) -> None:
    done = helm("template", "box", str(CHART), "--kube-version", "1.34.0", "--set", value)
    assert done.returncode != 0
    assert "values don't meet the specifications" in done.stderr
