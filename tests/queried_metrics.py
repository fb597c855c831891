"""What the files of deploy/monitoring ask Prometheus for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

MONITORING = Path(__file__).resolve().parents[1] / "deploy/monitoring"
ALERTS = MONITORING / "alerts.yml"
DASHBOARD = MONITORING / "dashboard.json"


def alert_queries() -> list[str]:
    """The expressions of all alerts."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    """The expressions of all panels; Grafana's variable for a span of time is filled in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [query.replace("$__rate_interval", "1m") for query in queries]


def selected(query: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every series that a query reads: the name of its metric, and the labels it asks for by `=`."""
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    for one in found:
        labels = re.findall(r'(\w+)="([^"]*)"', str(one))
        yield str(one.name), dict(labels)
