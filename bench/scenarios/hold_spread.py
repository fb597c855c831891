"""`hold-spread`: the same holds as `hold-hot`, over 20 performances at once."""

from bench import generator, yardstick
from bench.rounds import interleave
from bench.scenario import Options, Outcome
from bench.scenarios.hold_hot import CUSTOMERS, hold_figures, hold_round, rounds
from bench.stage import open_stage

PERFORMANCES = 20


def run(options: Options) -> Outcome:
    with open_stage("hold-spread") as stage, yardstick.echo(stage.folder) as echo, stage.rowlock() as server:
        _, tokens = stage.customers(CUSTOMERS)

        def empty() -> generator.Calls:
            return yardstick.empty_calls(echo, stage.folder, seconds=options.seconds)

        def hold() -> generator.Calls:
            return hold_round(stage, server, tokens, performances=PERFORMANCES)

        empty(), hold()
        found = interleave(options.rounds, {"empty": empty, "hold": hold}, options.progress, generator.Calls.shown)
        details = {"postgres": stage.describe()}
    return Outcome({"performances": PERFORMANCES, **hold_figures(found)}, details | {"rounds": rounds(found)})
