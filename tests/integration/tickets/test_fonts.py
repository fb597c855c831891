"""A font that cannot print stops the server before the first ticket is asked for."""

from pathlib import Path

import pytest

from server.config import Settings, StartError
from server.runtime import runtime


async def test_a_server_does_not_start_with_a_font_that_cannot_print(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "none.ttf").write_bytes(b"not a font")
    with pytest.raises(StartError, match=r"ROWLOCK_TICKET_FONT_FILE.*not a TrueType font"):
        async with runtime(settings.model_copy(update={"ticket_font_file": tmp_path / "none.ttf"})):
            pass
