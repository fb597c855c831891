"""Write `docs/errors.md` from the comments of `protos/rowlock/v1/errors.proto`.

python scripts/errors.py          write it
python scripts/errors.py --check  write nothing; fail if it differs from what would be written
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "protos/rowlock/v1/errors.proto"
DOCUMENT = ROOT / "docs/errors.md"

_INTRODUCTION = """\
# Errors

<!-- Written by scripts/errors.py from protos/rowlock/v1/errors.proto: change it there, then `make gen`. -->

Every error is a gRPC status whose details hold a `google.rpc.ErrorInfo` with `domain` `rowlock.dev` and one of the
reasons below. Programs decide by the reason, people read the message, and neither ever holds SQL, a path or a
traceback. What else a status carries:

| detail | when |
|---|---|
| `BadRequest` | INVALID_ARGUMENT: each field at fault, by its path in the request |
| `RetryInfo` | UNAVAILABLE and RESOURCE_EXHAUSTED, where the server knows how long to wait |
| `RequestInfo` | always: the id under which the server's log has this call |

What to do with a code, whatever the reason:

| code | what it means | retry |
|---|---|---|
| INVALID_ARGUMENT | wrong whatever the state | never as it is |
| FAILED_PRECONDITION | well made, but the state does not allow it | after another choice or another step |
| NOT_FOUND | absent, or not the caller's to see | no |
| ABORTED | lost a race | read again, decide again |
| UNAVAILABLE | nothing is wrong with the request | yes, soon, with the same `request_id` |
| RESOURCE_EXHAUSTED | a limit of rate or size | after `RetryInfo` |
| UNAUTHENTICATED | no valid token | after refreshing it |
| INTERNAL | a fault of the server, logged | with the same `request_id` |

A mutating call that was repeated with the same `request_id` has one effect and one answer, so a call whose outcome is
unknown can always be repeated.
"""


@dataclass(frozen=True)
class Reason:
    """One member of the enum: its section, gRPC code, name and what its comment says."""

    section: str
    code: str
    name: str
    text: str


def reasons(proto: str) -> list[Reason]:
    """Every reason of the proto, in its order, without the unspecified one."""
    body = proto[proto.index("enum ErrorReason") :]
    found: list[Reason] = []
    section = ""
    comment: list[str] = []
    for line in body.splitlines():
        stripped = line.strip()
        if match := re.fullmatch(r"// --- (.+?) ---", stripped):
            section = match[1]
        elif stripped.startswith("//"):
            comment.append(stripped.removeprefix("//").strip())
        elif match := re.match(r"([A-Z][A-Z_0-9]*) = \d+;", stripped):
            code, _, text = " ".join(comment).partition(". ")
            if match[1] != "ERROR_REASON_UNSPECIFIED":
                found.append(Reason(section, code, match[1], text))
            comment = []
        else:
            comment = []
    return found


def document(proto: str) -> str:
    """The text of `docs/errors.md`."""
    parts = [_INTRODUCTION]
    section = None
    for reason in reasons(proto):
        if reason.section != section:
            section = reason.section
            parts.append(
                f"\n## {section.capitalize()}\n\n| reason | code | what happened, and what to do |\n|---|---|---|\n"
            )
        parts.append(f"| `{reason.name}` | {reason.code} | {reason.text} |\n")
    return "".join(parts)


def main() -> int:
    """Do what the arguments ask; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = document(PROTO.read_text())
    if not parser.parse_args().check:
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    print("Not fresh: docs/errors.md. Run `make gen`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
