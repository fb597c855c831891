"""Takes the generated stubs into the wheel; they and the license lie at the root of the repository."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Generated(BuildHookInterface):
    """In a checkout they are two folders up; a source archive carries its own copy of them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        here = Path(self.root)
        carried = here / "gen" / "python"
        root = here if carried.exists() else here.parent.parent
        wheel = self.target_name == "wheel"
        for package in ("rowlock", "buf"):
            source = root / "gen" / "python" / package
            build_data["force_include"][str(source)] = package if wheel else f"gen/python/{package}"
        if not wheel:
            build_data["force_include"][str(root / "LICENSE")] = "LICENSE"
