"""Keeps results, prints them, and makes the table of the README from those that are kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One figure that is shown: which, in words, and what it is to be."""

    scenario: str
    key: str
    meaning: str
    goal: str = ""


FIGURES: Final = (
    Figure("empty", "calls_per_s", "empty calls per second: the ceiling of one process"),
    Figure("hold-hot", "holds_per_s", "holds per second, two random seats each, one performance of 20,000"),
    Figure("hold-hot", "ratio", "… in proportion to empty calls", "≥ 0.60"),
    Figure("hold-hot", "p99_ms", "… 99th percentile of the answer, 128 callers (ms)"),
    Figure("hold-spread", "holds_per_s", "holds per second, over 20 performances"),
    Figure("hold-spread", "ratio", "… in proportion to empty calls", "≥ 0.45"),
    Figure("hold-naive", "speedup", "hold-hot, as a multiple of one ORM transaction per call", "≥ 6"),
    Figure("confirm", "bookings_per_s", "bookings per second: hold, pay, confirmed"),
    Figure("confirm", "ratio", "… in proportion to holds"),
    Figure("fanout", "deliveries_per_s", "revisions told per second, to 1,000 watchers in all"),
    Figure("fanout", "ratio", "… in proportion to canned messages over the same streams", "≥ 0.80"),
    Figure("fanout", "latency_p50_ms", "from commit to watcher, median (ms)"),
    Figure("fanout", "latency_p99_ms", "from commit to watcher, 99th percentile (ms)"),
    Figure("fanout", "kb_per_idle_watcher", "memory per idle watcher (kB)", "≤ 50"),
    Figure("fanout", "idle_watchers", "idle watchers that one process carries", "10,000"),
    Figure("snapshot", "bytes_per_place", "first snapshot, bytes per place", "≤ 1.2"),
    Figure("snapshot", "p99_ms", "… 200 watchers at once, 99th percentile (ms)"),
    Figure("onsale", "sold", "5,000 customers for 1,000 seats: sold", "1,000"),
    Figure("onsale", "oversold", "… oversold", "0"),
    Figure("onsale", "seconds", "… seconds until all are sold and everybody has an answer"),
    Figure("onsale", "p99_ms", "… 99th percentile of the answers (ms)"),
    Figure("pay", "bookings_per_s", "bookings per second, paid through the fake PayPal over HTTP"),
    Figure("checkin", "scans_per_s", "scans per second at the doors of one performance"),
    Figure("queue", "joins_per_s", "customers per second who join a line"),
    Figure("queue", "ratio", "positions read in a line of 100,000, in proportion to empty calls", "≥ 0.5"),
    Figure("queue", "rebuild_s", "… seconds to build it up again after Redis was emptied"),
    Figure("refund", "refunds_per_s", "refunds per second of a sold-out performance of 20,000"),
    Figure("refund", "worker_mb_before", "… memory of the worker before (MB)"),
    Figure("refund", "worker_mb_peak", "… at most (MB)"),
    Figure("gateway", "ratio", "calls per second over REST, in proportion to direct gRPC calls"),
    Figure("gateway", "added_ms", "… what it adds to a message of a stream, median (ms)"),
    Figure("kiosk-join", "joins_per_s", "screens per second that join a hall through the gateway, of 1,000"),
    Figure("kiosk-join", "first_p99_ms", "… until the first picture, 99th percentile (ms)"),
)


def report(scenario: str, result: Mapping[str, Any], details: Mapping[str, Any]) -> Path:
    """Keep a scenario's result and print its last line.

    Args:
        scenario: its name.
        result: the figures.
        details: what they come from: the machine, settings, each round.

    Returns:
        The file.
    """
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    file = RESULTS / f"{now:%Y-%m-%d}-{scenario}.json"
    whole = {"scenario": scenario, "time": now.isoformat(timespec="seconds"), "result": dict(result), **details}
    file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print(f"RESULT {json.dumps({'scenario': scenario, **result})}", flush=True)
    return file


def table() -> str:
    """The newest kept figures as a Markdown table."""
    newest = {}
    for file in sorted(RESULTS.glob("*.json")):
        kept = json.loads(file.read_text())
        newest[kept["scenario"]] = kept
    lines = ["| scenario | measured | figure | goal |", "|---|---|---:|---:|"]
    for figure in FIGURES:
        kept = newest.get(figure.scenario)
        if kept is not None and figure.key in kept["result"]:
            value = _shown(kept["result"][figure.key])
            lines.append(f"| `{figure.scenario}` | {figure.meaning} | {value} | {figure.goal} |")
    commits: dict[str, set[str]] = {}
    for kept in newest.values():
        commits.setdefault(_machine(kept), set()).add(kept["machine"]["commit"] or "unknown")
    measured = [f"{machine}; at {', '.join(sorted(of))}." for machine, of in sorted(commits.items())]
    return "\n".join([*lines, "", *measured])


def _machine(kept: Mapping[str, Any]) -> str:
    machine = kept["machine"]
    return (
        f"Measured {kept['time'][:10]} on {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"{machine['kernel']}, Python {machine['python']}, gRPC {machine['grpcio']}"
    )


def _shown(value: float) -> str:
    if isinstance(value, int) or value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"
