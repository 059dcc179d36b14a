"""The files under infra/: what they refer to is there, and no secret is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from curation.config import CurateRequest
from pipelines.server import LEASES

INFRA = Path(__file__).parents[2] / "infra"
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|AUTH_STRING|ACCESS_KEY")
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")
ENVIRONMENT = {
    **dict.fromkeys(("POSTGRES_PASSWORD", "RAY_AUTH_TOKEN", "S3_ACCESS_KEY", "S3_SECRET_KEY"), "x"),
    **{"GRAFANA_PASSWORD": "x", "PREFECT_AUTH_STRING": "u:p"},
}


class Unset(Exception):
    """Compose refuses to start: a variable that has to be set is not."""


def compose(environment: dict[str, str]) -> dict[str, Any]:
    """compose.yaml with its variables filled in, as the Compose specification says."""

    def fill(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if environment.get(name):
            return environment[name]
        if kind == ":?":
            raise Unset(name)
        return rest or ""

    text = (INFRA / "compose.yaml").read_text()
    resolved: dict[str, Any] = yaml.safe_load(VARIABLE.sub(fill, text))
    return resolved


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_nothing_starts_while_a_secret_is_unset(name: str) -> None:
    """Each secret is asked for by name, and an empty one counts as unset."""
    with pytest.raises(Unset, match=name):
        compose({**ENVIRONMENT, name: ""})


def test_env_example_names_each_variable_that_has_to_be_set() -> None:
    """Filled in, it is enough; as it comes it holds no value."""
    lines = (INFRA / "env.example").read_text().splitlines()
    assert {line.rstrip("=") for line in lines if line and not line.startswith("#")} == set(ENVIRONMENT)


def test_no_secret_stands_in_a_file() -> None:
    """What is called a password, a token or a key comes from the environment or from a secret by name."""
    services = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"].values()
    for service in services:
        for name, value in (service.get("environment") or {}).items():
            if SECRET.search(name) and name != "RAY_AUTH_MODE":
                assert ":?" in str(value), name
    for path in (INFRA / "kubernetes").rglob("*.yaml"):
        for name, value in re.findall(r"name: (\w+), value: (\S+)", path.read_text()):
            assert not SECRET.search(name), (path, name, value)


def test_ray_and_prefect_ask_who_calls() -> None:
    """Every process of Ray's has the token mode, Prefect's server and worker the same password."""
    services = compose(ENVIRONMENT)["services"]
    for name in ("ray-head", "ray-worker", "worker"):
        environment = services[name]["environment"]
        assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN"]) == ("token", "x")
    assert services["prefect"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"] == "u:p"
    assert services["worker"]["environment"]["PREFECT_API_AUTH_STRING"] == "u:p"
    for path in ("raycluster.yaml", "rayjob.yaml"):
        for found in yaml.safe_load_all((INFRA / "kubernetes" / path).read_text()):
            if found["kind"].startswith("Ray"):
                spec = found["spec"].get("rayClusterSpec", found["spec"])
                assert spec["authOptions"] == {"mode": "token"}
    for chart, key in (("server", "server"), ("worker", "worker")):
        values = yaml.safe_load((INFRA / "kubernetes" / "helm" / f"prefect-{chart}.yaml").read_text())[key]
        assert values.get("selfHostedServerApiConfig", values)["basicAuth"]["enabled"]


def test_slots_outlive_prefects_server() -> None:
    """Started again, it knows which run holds a deployment's one slot: they lie in a file on the volume."""
    helm = yaml.safe_load((INFRA / "kubernetes" / "helm" / "prefect-server.yaml").read_text())["server"]
    (mount,) = helm["extraVolumeMounts"]
    service = compose(ENVIRONMENT)["services"]["prefect"]
    told = {one["name"]: one["value"] for one in helm["env"]}
    for environment, volume in (
        (service["environment"], service["volumes"][0].split(":")[1]),
        (told, mount["mountPath"]),
    ):
        assert LEASES.items() <= environment.items()
        assert environment["PREFECT_HOME"].startswith(volume)


def test_ports_open_on_loopback_alone() -> None:
    """Whoever wants them elsewhere puts something before them that encrypts."""
    services = compose(ENVIRONMENT)["services"].values()
    ports = [port for service in services for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_compose_refers_to_is_there() -> None:
    """Services that others wait for, volumes, mounted files, and the hosts and ports in the configuration."""
    found = compose(ENVIRONMENT)
    services = found["services"]
    for service in services.values():
        assert set(service.get("depends_on") or ()) <= set(services)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in found["volumes"] or source == "./media" or (INFRA / source).exists(), source
    assert (INFRA.parent / services["worker"]["build"]["dockerfile"]).is_file()
    scraped = yaml.safe_load((INFRA / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"][0]
    (ray,) = scraped["dns_sd_configs"]
    for name in ray["names"]:
        assert f"--metrics-export-port={ray['port']}" in services[name]["command"]
    folder = INFRA / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    dashboard = json.loads((INFRA / "grafana" / "dashboards" / "omnivideo.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_the_jobs_request_is_one() -> None:
    """The request that the RayJob hands over is accepted, filters and all."""
    config, job = yaml.safe_load_all((INFRA / "kubernetes" / "rayjob.yaml").read_text())
    request = CurateRequest.model_validate_json(config["data"]["request.json"])
    assert next(rule.name() for rule in request.rules()) == "resolution"
    assert "/etc/omnivideo/request.json" in job["spec"]["entrypoint"]


def test_no_image_names_a_registry() -> None:
    """Where images come from is the site's business: no host stands in a name or a build argument."""
    for path in [*INFRA.rglob("*.yaml"), INFRA / "images" / "Containerfile"]:
        for image in re.findall(r"(?:image|repository|BASE)[:=]\s*(\S+)", path.read_text()):
            assert not re.search(r"\w\.\w+/", image), (path, image)


def test_the_automations_are_ones() -> None:
    """Prefect reads each of them, and they wait for the event that a published version gives off."""
    from prefect.automations import AutomationCore

    from pipelines.artifacts import PUBLISHED

    text = (INFRA / "prefect" / "automations.yaml").read_text()
    found = yaml.safe_load(text.replace("${NOTIFY_BLOCK}", "00000000-0000-0000-0000-000000000001"))
    read = [AutomationCore.model_validate(one) for one in found["automations"]]
    assert [PUBLISHED in one.trigger.expect for one in read] == [False, True, True]
