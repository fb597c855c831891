"""What stops the console from starting is said by the names of its settings."""

from pathlib import Path
from typing import Any

import pytest

from console.program import serve
from server.config import Settings, SettingsError


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"console_tls_cert_file": "absent.pem"}, "ROWLOCK_CONSOLE_TLS_CERT_FILE"),
        ({"console_tls_cert_file": "broken.pem"}, "ROWLOCK_CONSOLE_TLS_CERT_FILE"),
        ({"console_server_ca_file": "absent.pem"}, "ROWLOCK_CONSOLE_SERVER_CA_FILE"),
        ({"console_servers": ("one.example:1", "two.example:1")}, "ROWLOCK_CONSOLE_SERVERS"),
    ],
    ids=["no certificate", "a broken certificate", "no authority", "several names"],
)
async def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, wrong: dict[str, Any], named: str) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    placed = {name: tmp_path / value if isinstance(value, str) else value for name, value in wrong.items()}
    settings = Settings().model_copy(update={"console_address": "127.0.0.1:0", **placed})
    with pytest.raises(SettingsError, match=named):
        await serve(settings)
