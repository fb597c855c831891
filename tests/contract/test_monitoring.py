"""The dashboard, the alerts and the runbook: what they name exists, and they name each other."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from server.config import Settings, variable_name
from tests.queried_metrics import ALERTS, DASHBOARD, MONITORING, alert_queries, dashboard_queries, selected

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs/observability.md").read_text()
GATEWAY = (ROOT / "gateway/internal/web/observe.go").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]


def anchors() -> list[str]:
    """Headings of the runbook, as they can be linked to."""
    return re.findall(r"^### (Rowlock\w+)$", RUNBOOK, re.MULTILINE)


def test_each_alert_has_a_runbook_entry_and_each_entry_an_alert() -> None:
    names = [rule["alert"] for rule in RULES]
    assert anchors() == names
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/observability.md#{rule['alert'].lower()}"
        assert f"### {rule['alert']}\n\n*{rule['labels']['severity']}.*" in RUNBOOK


def entries() -> Iterator[Any]:
    for text in re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]:
        yield pytest.param(text, id=text.partition("\n")[0])


@pytest.mark.parametrize("entry", list(entries()))
def test_an_entry_says_what_it_means_where_to_look_and_what_to_do(entry: str) -> None:
    assert re.search(r"^\*(critical|warning|info)\.\* \S", entry, re.MULTILINE)
    assert re.search(r"^- \*\*First look:\*\* \S", entry, re.MULTILINE)
    assert re.search(r"^- \*\*What to do:\*\* \S", entry, re.MULTILINE)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
def test_a_rule_has_what_prometheus_and_people_need(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    # A template may name only labels that the result has: those that the query groups by, or all where it does not.
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"]):
        grouped = re.findall(r"by \(([\w, ]+)\)", rule["expr"])
        assert not grouped or any(label in one for one in grouped), label


@pytest.mark.parametrize("query", [*alert_queries(), *dashboard_queries()])
def test_prometheus_can_read_the_query(query: str) -> None:
    assert isinstance(promql_parser.parse(query), promql_parser.Expr)


def test_the_gateways_metrics_are_those_of_its_source() -> None:
    """Its own tests build and scrape it; here is only asked whether the names are still right."""
    named = {name for query in (*alert_queries(), *dashboard_queries()) for name, _ in selected(query)}
    registered = set(re.findall(r'Name: "(rowlock_gateway_\w+)"', GATEWAY))
    assert {name for name in named if name.startswith("rowlock_gateway_")} <= registered


def test_every_job_that_a_query_names_is_scraped() -> None:
    scraped = {job["job_name"] for job in yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]}
    named = set(re.findall(r'job="([\w-]+)"', "".join((*alert_queries(), *dashboard_queries()))))
    assert named <= scraped
    assert scraped == {"rowlock-server", "rowlock-worker", "rowlock-scheduler", "rowlock-gateway"}


def test_the_ports_are_those_of_the_settings() -> None:
    scraped = {
        job["job_name"]: job["static_configs"][0]["targets"][0]
        for job in yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    }
    for job, setting in (
        ("rowlock-server", "metrics_address"),
        ("rowlock-worker", "worker_metrics_address"),
        ("rowlock-scheduler", "scheduler_metrics_address"),
        ("rowlock-gateway", "gateway_metrics_address"),
    ):
        address = Settings.model_fields[setting].default
        assert scraped[job] == address
        assert f"| `{variable_name(setting)}` | `{address}` |" in RUNBOOK


def test_every_metric_that_is_queried_is_explained() -> None:
    explained = set(re.findall(r"`((?:rowlock|process)_\w+)`", RUNBOOK))
    for query in (*alert_queries(), *dashboard_queries()):
        for name, _ in selected(query):
            assert name == "up" or {name, re.sub(r"_(bucket|sum|count)$", "", name)} & explained, name


def test_every_setting_that_the_runbook_names_exists() -> None:
    known = {variable_name(name) for name in Settings.model_fields}
    assert set(re.findall(r"`(ROWLOCK_\w+)`", RUNBOOK)) <= known


def test_the_dashboard_is_fresh_and_every_panel_is_whole() -> None:
    subprocess.run([sys.executable, "scripts/dashboard.py", "--check"], cwd=ROOT, check=True)
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["targets"]
