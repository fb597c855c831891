"""Takes into the wheel what an installed Rowlock needs beside its Python packages, as files of `server`.

The gateway's sources, which it is built from on first use (`server/gateway_build.py`), the screens, and the examples.
An image leaves some of them out: what is not there is not taken.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_GO = frozenset({".go", ".mod", ".sum", ".json"})


class Files(BuildHookInterface):
    """Adds files, each with its place in the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; an editable installation finds everything in its checkout."""
        if version != "editable":
            build_data["force_include"].update(dict(self._files(Path(self.root))))

    def _files(self, root: Path) -> Iterator[tuple[str, str]]:
        for module in ("gateway", "gen/go", "gen/openapi"):
            for path in sorted((root / module).rglob("*")):
                if path.suffix in _GO and not path.name.endswith("_test.go"):
                    yield str(path), f"server/gateway_source/{path.relative_to(root)}"
        for folder, target in (("clients/kiosk", "server/kiosk"), ("examples", "server/examples")):
            for path in sorted((root / folder).rglob("*")):
                if path.is_file() and not path.name.startswith(".") and path.suffix != ".pyc":
                    yield str(path), f"{target}/{path.relative_to(root / folder)}"
