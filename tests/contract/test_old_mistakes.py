"""Each mistake that the systems before Rowlock made has a test that makes it, marked `mistake` with these words."""

import ast
from pathlib import Path

import pytest
from google.api import annotations_pb2

from server.registration import contract

TESTS = Path(__file__).resolve().parents[1]

MISTAKES = {
    "check-then-insert without a lock",
    "limit beaten by concurrency",
    "status or price or total taken from the client",
    "any customer pays, refunds or reads another's order",
    "payment and expiry race leaves a paid order without seats",
    "a charge at sold-out",
    "`> 4` lets five in",
    "sold seats can be selected again",
    "holds never end",
    "one lost timer message holds seats for ever",
    "negative or zero quantity",
    "a second active queue stops all queues",
    "admission token used twice",
    "two customers lost between queue and token when the worker dies",
    "stock subtracted twice",
    "token checks stubbed",
    "a stream for one showing moves seats of another",
    "errors broadcast to everybody",
    "JWT in a URL",
    "double cancel or double refund",
    "list end point that runs a query per row",
}


def marked() -> dict[str, list[str]]:
    """The tests of each mistake, by the words of the marker."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.mistake":
                        found.setdefault(ast.literal_eval(decorator.args[0]), []).append(f"{path.name}::{node.name}")
    return found


def test_every_old_mistake_has_its_test_and_no_test_names_another() -> None:
    assert marked().keys() == MISTAKES


@pytest.mark.mistake("JWT in a URL")
def test_no_token_is_ever_part_of_an_address() -> None:
    """JWT in a URL: what a GET carries stands in logs and histories; tokens come in metadata, or in a body."""
    secrets = (
        "access_token",
        "refresh_token",
        "admission_token",
        "entry_token",
        "password",
        "secret",
        "api_key",
        "code",
    )
    for service in contract():
        for method in service.methods:
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            for binding in (rule, *rule.additional_bindings):
                path = binding.get or binding.post or binding.put or binding.patch or binding.delete
                assert not [word for word in secrets if f"{{{word}" in path], method.full_name
                fields = {field.name for field in method.input_type.fields}
                if binding.body == "*":
                    continue
                in_address = fields - {binding.body}
                assert not in_address & set(secrets), method.full_name
