"""Write `deploy/monitoring/dashboard.json`, the Grafana dashboard, from the rows below.

python scripts/dashboard.py          write it
python scripts/dashboard.py --check  write nothing; fail if it differs from what would be written
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "deploy/monitoring/dashboard.json"

_COLUMNS = 24
_HEIGHT = 7
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """One picture.

    Args:
        title: what a reader asks.
        unit: Grafana's name of the unit.
        queries: PromQL by legend; `{{label}}` in a legend is that label's value.
        about: shown behind the small i.
        limit: a red line, where there is one.
        figure: one number instead of a curve.
    """

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""
    limit: float | None = None
    figure: bool = False


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """PromQL of a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[$__rate_interval])))"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """PromQL of how often something happens in a second."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{where}[$__rate_interval]))"


REFUSED = '{code="UNAVAILABLE"}'
HOLDS = '{method="CreateBooking"}'

ROWS: dict[str, tuple[Panel, ...]] = {
    "The five minutes that matter": (
        Panel("Holds", "reqps", {"": rate("rowlock_rpc_seconds_count", where=HOLDS)}, figure=True),
        Panel(
            "Hold, 99 of 100 within",
            "s",
            {"": quantile(0.99, "rowlock_rpc_seconds", where=HOLDS)},
            limit=1,
            figure=True,
        ),
        Panel("Watchers", "short", {"": "sum(rowlock_feed_watchers)"}, figure=True),
        Panel(
            "Change to screen, 99 of 100 within",
            "s",
            {"": quantile(0.99, "rowlock_feed_fan_out_seconds")},
            limit=0.5,
            figure=True,
        ),
        Panel("In line", "short", {"": "max(rowlock_waiting_room_waiting)"}, figure=True),
        Panel(
            "Turned away",
            "percentunit",
            {"": f"{rate('rowlock_rpc_total', where=REFUSED)} / {rate('rowlock_rpc_total')}"},
            limit=0.05,
            figure=True,
        ),
    ),
    "Selling": (
        Panel(
            "How long a hold takes",
            "s",
            {
                "half within": quantile(0.5, "rowlock_rpc_seconds", where=HOLDS),
                "99 of 100 within": quantile(0.99, "rowlock_rpc_seconds", where=HOLDS),
                "of it, waiting for the batch": quantile(0.99, "rowlock_ledger_wait_seconds"),
                "of it, the batch": quantile(0.99, "rowlock_ledger_batch_seconds"),
            },
            limit=1,
        ),
        Panel("Calls", "reqps", {"{{method}}": f"topk(8, {rate('rowlock_rpc_total', 'method')})"}),
        Panel(
            "How calls end, but for OK",
            "reqps",
            {"{{code}}": rate("rowlock_rpc_total", "code", '{code!="OK"}')},
            "NOT_FOUND, ABORTED and FAILED_PRECONDITION are answers (a seat was taken); INTERNAL is a fault of ours.",
        ),
        Panel(
            "Commands in a batch",
            "short",
            {
                "average": f"{rate('rowlock_ledger_batch_size_sum')} / {rate('rowlock_ledger_batch_size_count')}",
                "99 of 100 at most": quantile(0.99, "rowlock_ledger_batch_size"),
            },
            "Large under load: that is what makes it cheap.",
        ),
        Panel(
            "Commands that wait",
            "short",
            {
                "{{instance}}": "rowlock_ledger_waiting",
                "refused in a second": rate("rowlock_ledger_overloaded_total"),
            },
        ),
        Panel(
            "Batches made again, by cause",
            "ops",
            {
                "{{cause}}": rate("rowlock_ledger_batches_repeated_total", "cause"),
                "given up": rate("rowlock_ledger_batches_contended_total"),
                "taken apart": rate("rowlock_ledger_batches_taken_apart_total"),
            },
        ),
    ),
    "Screens": (
        Panel(
            "From a change to its watchers",
            "s",
            {
                "half within": quantile(0.5, "rowlock_feed_fan_out_seconds"),
                "99 of 100 within": quantile(0.99, "rowlock_feed_fan_out_seconds"),
                "Redis takes it, 99 of 100 within": quantile(0.99, "rowlock_feed_publication_seconds"),
            },
            "Of the own process from the commit; of others from the arrival through Redis.",
            limit=0.5,
        ),
        Panel(
            "Watchers and streams",
            "short",
            {"watchers": "sum(rowlock_feed_watchers)", "{{method}}": "sum by (method) (rowlock_streams)"},
        ),
        Panel(
            "Frames, by how they came",
            "ops",
            {"{{source}}": rate("rowlock_feed_frames_total", "source")},
            "From the log: something was lost on the way, and was made good.",
        ),
        Panel(
            "What went wrong, and was made good",
            "ops",
            {
                "gaps healed": rate("rowlock_feed_gaps_healed_total"),
                "frames not published": rate("rowlock_feed_dropped_total"),
                "streams cut, not read": rate("rowlock_streams_stalled_total"),
                "boards read anew": rate("rowlock_feed_resets_total"),
            },
        ),
    ),
    "The line": (
        Panel(
            "Waiting",
            "short",
            {"all lines": "max(rowlock_waiting_room_waiting)", "the longest": "max(rowlock_waiting_room_longest)"},
        ),
        Panel("Admitted", "ops", {"a second": rate("rowlock_admissions_total")}),
    ),
    "Money and work": (
        Panel(
            "Overdue",
            "s",
            {"{{kind}}": "max by (kind) (rowlock_backlog_overdue_seconds)"},
            "Everything at once: no worker runs. One kind: whom it speaks to does not answer.",
            limit=300,
        ),
        Panel("Waits to be done", "short", {"{{kind}}": "max by (kind) (rowlock_backlog_rows)"}),
        Panel("Waits for people", "short", {"{{kind}}": "max by (kind) (rowlock_backlog_for_people_rows)"}, limit=1),
        Panel(
            "Payments of unknown outcome",
            "short",
            {"payments": "max(rowlock_payments_unknown)"},
        ),
        Panel(
            "Payment providers: 95 of 100 answers within",
            "s",
            {"{{provider}} {{call}}": quantile(0.95, "rowlock_provider_call_seconds", "provider, call")},
        ),
        Panel(
            "Payment providers: answers",
            "ops",
            {"{{provider}} {{answer}}": rate("rowlock_provider_call_seconds_count", "provider, answer")},
        ),
        Panel("Rows worked on", "ops", {"{{kind}} {{outcome}}": rate("rowlock_work_rows_total", "kind, outcome")}),
        Panel("Mails", "ops", {"{{outcome}}": rate("rowlock_mails_total", "outcome")}),
    ),
    "Processes": (
        Panel(
            "How late the event loops are, 99 of 100 within",
            "s",
            {"{{instance}}": quantile(0.99, "rowlock_event_loop_lag_seconds", "instance")},
            limit=0.25,
        ),
        Panel(
            "Database connections",
            "short",
            {
                "{{instance}} in use": "rowlock_database_connections_used",
                "{{instance}} calls waiting": "rowlock_database_calls_waiting",
                "of": "max(rowlock_database_connections_limit)",
            },
        ),
        Panel("Answers: 1 is up", "short", {"{{dependency}}": "min by (dependency) (rowlock_dependency_up)"}),
        Panel("Memory", "bytes", {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"rowlock-.*"}'}),
        Panel(
            "Processor",
            "percentunit",
            {"{{job}} {{instance}}": 'rate(process_cpu_seconds_total{job=~"rowlock-.*"}[$__rate_interval])'},
        ),
        Panel(
            "Gateway",
            "reqps",
            {
                "{{status}}": rate("rowlock_gateway_requests_total", "status"),
                "open": "sum(rowlock_gateway_open_requests)",
            },
        ),
    ),
}


def main() -> int:
    """Do what the arguments ask; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
    if not parser.parse_args().check:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        print(f"Not fresh: {TARGET.name}. Run `make gen`.", file=sys.stderr)
        return 1
    return 0


def dashboard() -> dict[str, Any]:
    """The whole dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(_row(len(panels) + 1, title, y))
        y += 1
        figures = row[0].figure
        width, height = (_COLUMNS // len(row), 4) if figures else (_COLUMNS // min(len(row), 3), _HEIGHT)
        for number, panel in enumerate(row):
            across = _COLUMNS // width
            place = {"x": number % across * width, "y": y + number // across * height, "w": width, "h": height}
            panels.append(_panel(len(panels) + 1, panel, place))
        y += -(-len(row) // (_COLUMNS // width)) * height
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}
    return {
        "title": "Rowlock",
        "uid": "rowlock",
        "tags": ["rowlock"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [source]},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    custom: dict[str, Any] = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
    if panel.limit is not None:
        custom["thresholdsStyle"] = {"mode": "line"}
    defaults = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    return {
        "id": number,
        "type": "stat" if panel.figure else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults if panel.figure else {**defaults, "custom": custom}, "overrides": []},
        "options": (
            {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
            if panel.figure
            else {
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        ),
        "targets": [
            {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend or "__auto", "datasource": _SOURCE}
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
