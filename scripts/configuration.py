"""Write `docs/configuration.md` and `.env.example` from `server/config/`.

python scripts/configuration.py          write both
python scripts/configuration.py --check  write nothing; fail if either differs from what would be written
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import get_args

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from server.config import Area, Settings, variable_name

ROOT = Path(__file__).resolve().parent.parent

_INTRODUCTION = """\
# Configuration

<!-- Written by scripts/configuration.py from server/config/: change it there, then `make gen`. -->

Every setting is an environment variable; a file `.env` in the working directory is read too, and the environment
wins over it. `.env.example` is a template with every default. Nothing needs to be set to try Rowlock:
`rowlock up` brings its own PostgreSQL and Valkey.

A value that cannot be used stops the start: the message names the variable, the value, and what is accepted. An
empty value counts as not set. Durations are written `250ms`, `10s`, `15m`, `3h` or `30d` (a bare number is
seconds), sizes `256KiB`, `1MB` or plain bytes, rates `10/second` or `5/10 minutes`, addresses `host:port`.
"""


def main() -> int:
    """Do what the arguments ask; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check_only = parser.parse_args().check
    stale = []
    for path, text in ((ROOT / "docs/configuration.md", document()), (ROOT / ".env.example", template())):
        if check_only:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(text)
    if stale:
        print(f"Not fresh: {', '.join(stale)}. Run `make gen`.", file=sys.stderr)
    return 1 if stale else 0


def document() -> str:
    """The text of `docs/configuration.md`."""
    parts = [_INTRODUCTION]
    for heading, settings in _areas():
        parts.append(f"\n## {heading}\n\n| variable | default | meaning |\n|---|---|---|\n")
        for name, field in settings:
            default = shown(field.default)
            meaning = f"{field.description}{_choices(field)}"
            parts.append(f"| `{variable_name(name)}` | {f'`{default}`' if default else '–'} | {meaning} |\n")
    return "".join([*parts, _CLIENT])


_CLIENT = """
## The command line and the client library

Commands that use a server, such as `rowlock book`, read nothing of the above but these:

| variable | default | meaning |
|---|---|---|
| `ROWLOCK_SERVER` | `127.0.0.1:50051` | Where the server is, host:port; several by commas. |
| `ROWLOCK_SERVER_CA_FILE` | – | PEM authorities of the server's certificate; turns TLS on. |
| `ROWLOCK_TOKEN_FILE` | in your configuration folder | Where the tokens of `rowlock log-in` are kept. |
"""


def template() -> str:
    """The text of `.env.example`: every variable, commented out, with its default."""
    parts = ["# Copy to .env and take the # off what you change. docs/configuration.md says more.\n"]
    for heading, settings in _areas():
        parts.append(f"\n# -- {heading} {'-' * (100 - len(heading))}\n")
        for name, field in settings:
            description = f"{field.description}{_choices(field)}".replace("`", "")
            parts.append("\n" + textwrap.fill(description, 108, initial_indent="# ", subsequent_indent="# "))
            parts.append(f"\n#{variable_name(name)}={shown(field.default)}\n")
    return "".join(parts)


def _areas() -> Iterable[tuple[str, Iterable[tuple[str, FieldInfo]]]]:
    for area in Settings.__bases__:
        if issubclass(area, Area):
            yield area.heading, area.model_fields.items()


def _choices(field: FieldInfo) -> str:
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        values = [f"`{member.value}`" for member in annotation]
        if not all(value in (field.description or "") for value in values):
            return f" One of {', '.join(values)}."
    if annotation is bool or bool in get_args(annotation):
        return " `true` or `false`."
    return ""


def shown(value: object) -> str:
    """A default as it would be written in the environment; empty where nothing is set."""
    match value:
        case None:
            text = ""
        case bool():
            text = str(value).lower()
        case timedelta():
            text = _duration(value)
        case Enum():
            text = str(value.value)
        case frozenset() | tuple():
            text = ",".join(sorted(str(getattr(member, "value", member)) for member in value))
        case ByteSize():
            text = value.human_readable(separator="").replace(".0", "")
        case _:
            text = str(value)
    return text


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        # 24h and 90s read better than 1d and 1.5m.
        if seconds >= 2 * size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    if seconds and seconds % 1:
        return f"{seconds * 1000:g}ms"
    return "1h" if seconds == 3600 else "1m" if seconds == 60 else f"{seconds:g}s"


if __name__ == "__main__":
    sys.exit(main())
