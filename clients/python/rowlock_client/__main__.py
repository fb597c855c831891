"""`rowlock-client`, which is `python -m rowlock_client`: the commands for those who book and watch."""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Run the commands, or say what is missing: the library does without them."""
    if not all(importlib.util.find_spec(name) for name in ("typer", "rich", "segno")):
        sys.stderr.write("rowlock-client: the commands need some packages more: pip install 'rowlock-client[cli]'\n")
        sys.exit(2)
    from rowlock_client.cli.program import program  # noqa: PLC0415 - needs what was just looked for

    program()(prog_name="rowlock-client")


if __name__ == "__main__":
    main()
