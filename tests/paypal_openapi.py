"""PayPal's own description of its API, and what is wrong with a request or an answer by it.

The files are PayPal's and are not kept here. They are looked for

1. in the folder that the environment variable `PAYPAL_OPENAPI` names,
2. in `.tools`, where they are brought once from npm: PayPal publishes them there, and what comes has to have the digest
   that stands below.

If there is no way to have them, the tests that need them are skipped and say so, or fail where `CI` is set.
"""

import base64
import fcntl
import hashlib
import io
import json
import os
import re
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

ROOT: Final = Path(__file__).resolve().parent.parent
FILES: Final = ("checkout_orders_v2", "payments_payment_v2", "notifications_webhooks_v1")

_VERSION: Final = "1.0.0"
_PACKAGE: Final = f"@paypal/paypal-rest-api-specifications/-/paypal-rest-api-specifications-{_VERSION}.tgz"
_DIGEST: Final = "eqXIvFXi0OJIrMwUhbFoHnB7p/n4R+jeG/NTSpZRDGXsxAw3zbE4jYsNzTwsVDnGTDEZCZv9PIa8tEXktEVD6Q=="
_TIMEOUT: Final = 30

Json = Mapping[str, Any]


def folder() -> Path:
    """Where the files are; ends the test if they are nowhere."""
    if named := os.environ.get("PAYPAL_OPENAPI"):
        return Path(named)
    brought = ROOT / ".tools" / f"paypal-openapi-{_VERSION}"
    brought.parent.mkdir(exist_ok=True)
    with brought.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not brought.is_dir():
            _bring(brought)
    return brought


def _bring(target: Path) -> None:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    try:
        with urllib.request.urlopen(f"{registry}/{_PACKAGE}", timeout=_TIMEOUT) as response:  # noqa: S310 - https
            package = response.read()
    except OSError as error:
        _give_up(f"{registry} cannot be reached: {error}")
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != _DIGEST:
        _give_up(f"{registry} gave something else than PayPal's package")
    unfinished = target.with_suffix(".unfinished")
    unfinished.mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name in FILES:
            member = archive.extractfile(f"package/openapi/{name}.json")
            assert member is not None
            (unfinished / f"{name}.json").write_bytes(member.read())
    unfinished.rename(target)


def _give_up(reason: str) -> NoReturn:
    said = f"NOT CHECKED against PayPal's OpenAPI files: {reason}. Name a folder that has them: PAYPAL_OPENAPI=…"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


class Contract:
    """The calls that PayPal describes."""

    def __init__(self, files: Path) -> None:
        documents = {name: json.loads((files / f"{name}.json").read_text()) for name in FILES}
        self.versions = {name: document["info"]["version"] for name, document in documents.items()}
        self._registry: Registry[Any] = Registry().with_resources(
            (f"paypal:{name}", DRAFT4.create_resource(document)) for name, document in documents.items()
        )
        self._operations = [
            (method.upper(), re.compile(re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(path))), path, name)
            for name, document in documents.items()
            for path, item in document["paths"].items()
            for method in item
            if method in {"get", "post", "put", "patch", "delete"}
        ]
        self._documents = documents

    def faults_of_request(self, method: str, path: str, headers: Json, body: Any) -> list[str]:
        """What is wrong with a request; ``body`` None: it has none."""
        found = self._operation(method, path)
        if found is None:
            return [f"{method} {path}: PayPal has no such call"]
        name, template, operation = found
        faults = [
            f"{method} {path}: header {parameter['name']} is missing"
            for parameter in self._parameters(name, template, operation)
            if parameter.get("required") and parameter["in"] == "header" and parameter["name"].lower() not in headers
        ]
        for parameter in self._parameters(name, template, operation):
            value = headers.get(parameter["name"].lower()) if parameter["in"] == "header" else None
            # The published files allow Prefer fewer characters than the values that they name have.
            if value is not None and parameter["name"] != "Prefer":
                faults += self._faults(f"header {parameter['name']}", parameter["schema"], value, name, answer=False)
        if body is not None:
            described = self._resolved(operation.get("requestBody") or {}, name)
            if "content" not in described:
                return [*faults, f"{method} {path}: has a body, and PayPal expects none"]
            schema = _schema(described)
            # What is sent back to be verified is what PayPal alone may write.
            is_sent_back = path.endswith("/verify-webhook-signature")
            faults += self._faults(f"{method} {path}", schema, body, name, answer=is_sent_back)
            faults += self._undeclared(f"{method} {path}", schema, body, name)
        return faults

    def faults_of_answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer; ``body`` None: it has none."""
        found = self._operation(method, path)
        if found is None:
            return [f"{method} {path}: PayPal has no such call"]
        name, _, operation = found
        responses = operation["responses"]
        described = self._resolved(responses.get(str(status)) or responses.get("default") or {}, name)
        where = f"{status} to {method} {path}"
        if str(status) not in responses and "default" not in responses:
            return [f"{where}: PayPal does not answer that"]
        if "content" not in described or body is None:
            return []
        schema = _schema(described)
        faults = self._faults(where, schema, body, name, answer=True)
        # Errors have "details" in PayPal's answers and newer files, and "issues" in the older ones.
        return faults if status >= 400 else faults + self._undeclared(where, schema, body, name)

    def faults_of(self, file: str, schema: str, value: Any) -> list[str]:
        """What is wrong with a value that is to be of the named schema."""
        reference = {"$ref": f"#/components/schemas/{schema}"}
        return self._faults(schema, reference, value, file, answer=True) + self._undeclared(
            schema, reference, value, file
        )

    def examples(self, file: str) -> Iterator[tuple[str, Any]]:
        """The examples that PayPal gives of answers with a yes, by the path of the call."""
        for path, item in self._documents[file]["paths"].items():
            for operation in item.values():
                responses = operation.get("responses", {}) if isinstance(operation, dict) else {}
                for status, response in responses.items():
                    for example in self._examples(response, file) if status.startswith("2") else ():
                        yield path, example

    def _examples(self, response: Json, name: str) -> Iterator[Any]:
        content = response.get("content", {}).get("application/json", {})
        for one in content.get("examples", {}).values():
            yield self._resolved(one, name)["value"]

    def _operation(self, method: str, path: str) -> tuple[str, str, Json] | None:
        for offered, pattern, template, name in self._operations:
            if offered == method and pattern.fullmatch(path):
                return name, template, self._documents[name]["paths"][template][method.lower()]
        return None

    def _parameters(self, name: str, template: str, operation: Json) -> list[Json]:
        shared = self._documents[name]["paths"][template].get("parameters", [])
        found = [self._resolved(one, name) for one in (*shared, *operation.get("parameters", []))]
        # By OpenAPI, descriptions of these headers count for nothing.
        return [one for one in found if one["name"].lower() not in {"accept", "authorization", "content-type"}]

    def _faults(self, where: str, schema: Json, value: Any, name: str, *, answer: bool) -> list[str]:
        validator = OAS30ReadValidator if answer else OAS30WriteValidator
        rooted = _rooted(schema, f"paypal:{name}")
        return [
            f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
            for error in validator(rooted, registry=self._registry).iter_errors(value)
        ]

    def _undeclared(self, where: str, schema: Json, value: Any, name: str) -> list[str]:
        """Fields that PayPal does not have: its schemas are open, and would let a misspelt one pass."""
        if isinstance(value, list):
            items = [one["items"] for one in self._alternatives(schema, name) if "items" in one]
            return [
                fault
                for number, one in enumerate(value)
                for fault in self._undeclared(f"{where}[{number}]", {"anyOf": items}, one, name)
            ]
        if not isinstance(value, dict):
            return []
        alternatives = list(self._alternatives(schema, name))
        if any(one.get("additionalProperties") for one in alternatives):
            return []
        faults = []
        for key, inner in value.items():
            declared = [one["properties"][key] for one in alternatives if key in one.get("properties", {})]
            if declared:
                faults += self._undeclared(f"{where}.{key}", {"anyOf": declared}, inner, name)
            else:
                faults.append(f"{where}: PayPal has no field {key!r} there")
        return faults

    def _alternatives(self, schema: Json, name: str) -> Iterator[Json]:
        """The schemas that a value of ``schema`` may have to meet, with references and combinations undone."""
        schema = self._resolved(schema, name)
        yield schema
        for combination in ("allOf", "anyOf", "oneOf"):
            for one in schema.get(combination, ()):
                yield from self._alternatives(one, name)

    def _resolved(self, value: Json, name: str) -> Json:
        while "$ref" in value:
            found: Any = self._documents[name]
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            value = found
        return value


@cache
def contract() -> Contract:
    """PayPal's description, read once; ends the test if it cannot be had."""
    return Contract(folder())


def _schema(described: Json) -> Json:
    schema: Json = described["content"]["application/json"]["schema"]
    return schema


def _rooted(schema: Any, base: str) -> Any:
    """The schema with its references made absolute; those within what is referred to stay as they are."""
    if isinstance(schema, dict):
        return {
            key: f"{base}{value}" if key == "$ref" and value.startswith("#") else _rooted(value, base)
            for key, value in schema.items()
        }
    return [_rooted(one, base) for one in schema] if isinstance(schema, list) else schema
