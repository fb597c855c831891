"""Every error reason is documented, and every reason that is raised is in the contract."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from grpc import StatusCode

from rowlock.v1 import errors_pb2
from scripts.errors import PROTO, reasons
from server import errors

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = set(errors_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
TREE = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.RowlockError)
}


def raised() -> Iterator[tuple[str, str, str]]:
    """(where, code, reason) of each place that makes an error with a literal reason."""
    for folder in ("server", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TREE):
                    continue
                if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield where, TREE[node.func.id].code, node.args[0].value


def test_the_document_is_fresh() -> None:
    result = subprocess.run(
        [sys.executable, "scripts/errors.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_reason_says_its_code_and_what_to_do() -> None:
    found = reasons(PROTO.read_text())
    assert {reason.name for reason in found} == CONTRACT
    assert [r.name for r in found if not set(r.code.split(" or ")) <= {code.name for code in StatusCode}] == []
    assert [r.name for r in found if len(r.text) < 20] == []


def test_every_reason_that_is_raised_is_in_the_contract_with_that_code() -> None:
    documented = {reason.name: reason.code.split(" or ") for reason in reasons(PROTO.read_text())}
    places = list(raised())
    assert len(places) > 50
    assert [(where, reason) for where, _, reason in places if reason not in CONTRACT] == []
    assert [
        (where, reason, code) for where, code, reason in places if reason in CONTRACT and code not in documented[reason]
    ] == []
