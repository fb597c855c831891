"""`empty`: calls per second of a bare server, the ceiling of the stack."""

from bench import yardstick
from bench.generator import Calls
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.stage import open_stage


def run(options: Options) -> Outcome:
    with open_stage("empty") as stage, yardstick.echo(stage.folder) as echo:
        _, tokens = stage.customers(200)

        def bare() -> Calls:
            return yardstick.empty_calls(echo, stage.folder, seconds=options.seconds)

        def with_token() -> Calls:
            return yardstick.empty_calls(echo, stage.folder, seconds=options.seconds, tokens=tokens)

        bare()
        found = interleave(
            options.rounds,
            {"bare": bare, "with a token": with_token},
            options.progress,
            Calls.shown,
        )
    bare_rounds = found["bare"]
    return Outcome(
        {
            "calls_per_s": middle([one.per_s for one in bare_rounds], 0),
            "p50_ms": middle([one.p50_ms for one in bare_rounds]),
            "p99_ms": middle([one.p99_ms for one in bare_rounds]),
            "calls_per_s_with_token": middle([one.per_s for one in found["with a token"]], 0),
        },
        {"rounds": {name: [one.kept() for one in rounds] for name, rounds in found.items()}},
    )
