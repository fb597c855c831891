"""Measures Rowlock: `python bench/run.py [scenario …]`; all of them by default. docs/benchmarks.md explains each.

The last line of each scenario is `RESULT {json}`; everything that was measured is kept in `bench/results/`.
"""

import argparse
import importlib
import resource

from bench import generator, machine, results
from bench.progress import Progress
from bench.scenario import Options, Outcome

SCENARIOS = (
    "empty",
    "hold-hot",
    "hold-spread",
    "hold-naive",
    "confirm",
    "pay",
    "fanout",
    "snapshot",
    "onsale",
    "checkin",
    "queue",
    "refund",
    "gateway",
    "kiosk-join",
)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(SCENARIOS)}; none: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each measurement is taken (default: 5)")
    parser.add_argument("--seconds", type=float, default=5, help="how long one measurement lasts (default: 5)")
    parser.add_argument("--table", action="store_true", help="only print the kept results as a table")
    given = parser.parse_args()
    if unknown := set(given.scenario) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    if given.table:
        print(results.table())
        return
    # A stream is a connection, and a connection a file; servers and generators inherit this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    generator.build()
    for name in given.scenario or SCENARIOS:
        carry_out(name, given.rounds, given.seconds)


def carry_out(name: str, rounds: int, seconds: float) -> None:
    """Run one scenario, keep its result and print it."""
    progress = Progress(name)
    described = machine.describe()
    progress("starting")
    scenario = importlib.import_module(f"bench.scenarios.{name.replace('-', '_')}")
    outcome: Outcome = scenario.run(Options(rounds, seconds, progress))
    progress.end()
    results.report(
        name,
        outcome.result,
        {"machine": described, "options": {"rounds": rounds, "seconds": seconds}, **outcome.details},
    )


if __name__ == "__main__":
    main()
