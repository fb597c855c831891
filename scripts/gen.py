"""Generate the code under `gen/` from the contract in `protos/`, and check both.

    python scripts/gen.py            Python code and stubs; if the protos changed, also what --go makes
    python scripts/gen.py --go       the Go code, the REST gateway and the OpenAPI document as well, in any case
    python scripts/gen.py --check    write nothing; fail if the committed code is not what protos/ gives
    python scripts/gen.py --lint     buf lint, buf format and buf breaking
    python scripts/gen.py --release  remember today's contract as released: --lint compares with it from now on

Everything comes from pinned wheels (uv.lock) and pinned Go modules (`GO_PLUGINS`); nothing is asked of a schema
registry. `buf/validate/validate.proto` is not kept in this repository: its descriptor is taken out of the
installed `protovalidate` wheel, so that the rules in the protos and the code that runs them are one version.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GEN = ROOT / "gen"
TOOLS = ROOT / ".tools"
RELEASED = PROTOS / "released.binpb"
GO_MODULE = "github.com/rowlock/rowlock/gen/go"
GO_PLUGINS = {
    "google.golang.org/protobuf/cmd/protoc-gen-go": "v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc": "v1.6.2",
    "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway": "v2.31.0",
    "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2": "v2.31.0",
}
OPENAPI_MODULE = "github.com/rowlock/rowlock/gen/openapi"
OPENAPI_PACKAGE = """\
// Package openapi holds the description of the REST interface. Generated from protos/; do not edit.
package openapi

import _ "embed"

// Document is the description, as JSON.
//
//go:embed rowlock.swagger.json
var Document []byte
"""
OPENAPI_OPTIONS = (
    "allow_merge=true",
    "merge_file_name=rowlock",
    "openapi_naming_strategy=simple",
    "simple_operation_ids=true",
    "expand_slashed_path_patterns=true",
    f"openapi_configuration={PROTOS / 'openapi.yaml'}",
)


def main() -> int:
    """Do what the arguments ask; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("go", "check", "lint", "release"):
        parser.add_argument(f"--{flag}", action="store_true")
    wanted = parser.parse_args()
    if wanted.check:
        return check()
    if wanted.lint:
        return lint()
    if wanted.release:
        protoc("--include_imports", f"--descriptor_set_out={RELEASED}", *sources())
        return 0
    bring_up_to_date(GEN / "python", stale_python())
    if wanted.go or go_is_stale():
        generate_go()
    return 0


def sources() -> list[str]:
    """The contract's files, as paths below `protos/`, in a fixed order."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))


def protoc(*arguments: str, env: dict[str, str] | None = None) -> None:
    """Run the protoc of grpcio-tools on `arguments`; every import of the contract is on its path."""
    tools = Path(grpc_tools.__path__[0])
    includes = (PROTOS, tools / "_proto", tools.parent)  # googleapis-common-protos keeps google/api beside it
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={validate_descriptor()}"]
    subprocess.run([*command, *(f"-I{folder}" for folder in includes), *arguments], check=True, env=env)


def validate_descriptor() -> Path:
    """A descriptor set that holds buf/validate/validate.proto, taken from the protovalidate wheel."""
    path = TOOLS / "validate.binpb"
    path.parent.mkdir(exist_ok=True)
    file = FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    content = FileDescriptorSet(file=[file]).SerializeToString(deterministic=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)
    return path


def stale_python() -> dict[Path, bytes | None]:
    """What under gen/python is not what `protos/` gives: each file with its right content, None for one too many.

    Files that are right stay untouched, so that a running server or type checker is not disturbed.
    """
    with tempfile.TemporaryDirectory() as folder:
        generate_python(Path(folder))
        return differing(Path(folder), GEN / "python")


def differing(fresh: Path, kept: Path) -> dict[Path, bytes | None]:
    """Every file by which `kept` is not what `fresh` is, with its right content; None for one too many."""
    right, now = contents(fresh), contents(kept)
    return {name: right.get(name) for name in sorted(right.keys() | now.keys()) if right.get(name) != now.get(name)}


def bring_up_to_date(folder: Path, stale: dict[Path, bytes | None]) -> None:
    """Replace these files, and no others, each as a whole: whoever reads meanwhile never finds half of one."""
    for name, content in stale.items():
        kept = folder / name
        if content is None:
            kept.unlink()
            continue
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f".{kept.name}.{os.getpid()}")
        beside.write_bytes(content)
        beside.replace(kept)


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below `folder` but compiled ones, by its path from there."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder): path.read_bytes() for path in files}


def generate_python(target: Path) -> None:
    """Write the packages `rowlock` and `buf` into `target`: messages, services and their type stubs."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    protoc(
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
        *("buf/validate/validate.proto", *sources()),
        env=env,
    )
    protoc(f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}", *sources(), env=env)
    for module in target.rglob("*_pb2_grpc.py"):
        if "Servicer" not in module.read_text():  # its file has no service: the module is empty
            module.unlink()
            module.with_suffix(".pyi").unlink()
    for package in ("rowlock", "rowlock/v1", "buf", "buf/validate"):
        (target / package / "__init__.py").write_text(f'"""Generated from protos/ ({package}). Do not edit."""\n')
    for package in ("rowlock", "buf"):
        (target / package / "py.typed").touch()


def generate_go() -> None:
    """Replace gen/go (messages, services, the REST gateway) and gen/openapi; then compile the Go code."""
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    binaries = TOOLS / "bin"
    env = {**os.environ, "GOBIN": str(binaries), "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"}
    for plugin, version in GO_PLUGINS.items():
        subprocess.run([go, "install", f"{plugin}@{version}"], check=True, env=env)
    made_from = fingerprint()
    # All is made and compiled elsewhere first: builds and tests that run meanwhile find the former code, whole.
    with tempfile.TemporaryDirectory() as folder:
        target, openapi = Path(folder) / "go", Path(folder) / "openapi"
        target.mkdir()
        openapi.mkdir()
        for pinned in ("go.mod", "go.sum"):
            shutil.copy(GEN / "go" / pinned, target)
        protoc(
            f"--go_out=module={GO_MODULE}:{target}",
            f"--go-grpc_out=module={GO_MODULE}:{target}",
            f"--grpc-gateway_out=module={GO_MODULE}:{target}",
            f"--openapiv2_out={openapi}",
            *(f"--openapiv2_opt={option}" for option in OPENAPI_OPTIONS),
            *sources(),
            env=env,
        )
        finish_openapi(openapi / "rowlock.swagger.json")
        (openapi / "go.mod").write_text(f"module {OPENAPI_MODULE}\n\ngo 1.26.0\n")
        (openapi / "openapi.go").write_text(OPENAPI_PACKAGE)
        subprocess.run([go, "mod", "tidy"], check=True, env=env, cwd=target)
        subprocess.run([go, "build", "./..."], check=True, env=env, cwd=target)
        bring_up_to_date(GEN / "go", differing(target, GEN / "go"))
        bring_up_to_date(GEN / "openapi", differing(openapi, GEN / "openapi"))
    (GEN / "protos.sha256").write_text(made_from + "\n")


def finish_openapi(path: Path) -> None:
    """Say in the OpenAPI document what its generator does not know: how streams look, and Idempotency-Key.

    It is served by many gateways, with TLS and without, so it names no scheme: calls go where the document came from.
    """
    # The generator makes {categorie} of categories/*.
    document = json.loads(re.sub(r"(\{|\"name\": \")([a-zA-Z]+)ie(\}|\")", r"\1\2y\3", path.read_text()))
    document.pop("schemes", None)
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "type": "string",
        "required": False,
        "description": "The same as `requestId`: a second try with the same key gives the answer of the first.",
    }
    for operations in document["paths"].values():
        for verb, operation in operations.items():
            answer = operation["responses"].get("200", {}).get("schema", {})
            if answer.get("title", "").startswith("Stream result of"):
                operation["produces"] = ["application/x-ndjson", "text/event-stream"]
            elif answer.get("$ref", "").endswith("HttpBody"):
                operation["produces"] = ["application/pdf", "text/csv"]
                operation["responses"]["200"]["schema"] = {"type": "string", "format": "binary"}
            if verb != "get":
                operation.setdefault("parameters", []).append(key)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def go_is_stale() -> bool:
    """Whether the protos have changed since the Go code and the OpenAPI document were made. Needs no Go."""
    recorded = GEN / "protos.sha256"
    return not recorded.exists() or recorded.read_text().strip() != fingerprint()


def fingerprint() -> str:
    """A hash of the contract's files, and of what the OpenAPI document says besides."""
    digest = hashlib.sha256()
    for name in [*sources(), "openapi.yaml"]:
        digest.update(name.encode() + b"\0" + (PROTOS / name).read_bytes() + b"\0")
    return digest.hexdigest()


def check() -> int:
    """Compare the committed code with what `protos/` gives now; name every file that differs."""
    stale = stale_python()
    for name in stale:
        print(f"stale: gen/python/{name}")
    if go_is_stale():
        print("stale: gen/go, gen/openapi")
    if not stale and not go_is_stale():
        return 0
    print("run `make gen` and commit the result")
    return 1


def image() -> Path:
    """The contract as one descriptor set with its imports and comments, which is what buf reads."""
    path = TOOLS / "rowlock.binpb"
    protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={path}", *sources())
    return path


def lint() -> int:
    """Run buf's linter, formatter and breaking-change check; return 1 if any of them objects.

    The contract is compared with `protos/released.binpb`, a file that moves only with --release. A commit of the
    history would not do: a shallow clone has none to compare with.
    """
    buf = str(Path(sys.executable).parent / "buf")
    built = str(image())
    commands = (
        [buf, "lint", built, "--config", "buf.yaml"],
        [buf, "format", "protos", "--diff", "--exit-code"],
        [buf, "breaking", built, "--against", str(RELEASED), "--config", "buf.yaml"],
    )
    results = [subprocess.run(command, check=False, cwd=ROOT).returncode for command in commands]
    if results[-1]:
        print(
            "This change breaks callers. If it is meant: `python scripts/gen.py --release`, and note it in CHANGELOG.md"
        )
    return int(any(results))


if __name__ == "__main__":
    sys.exit(main())
