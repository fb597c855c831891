"""Settings of mails that cannot work are told at the start, and not by mails that never leave."""

from datetime import timedelta

import pytest

from server.config import SettingsError, load_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smtp_url", "http://mail.example.org"),
        ("smtp_url", "smtp://"),
        ("smtp_url", "smtp://host:port"),
        ("smtp_ca_file", "/there/is/no.pem"),
        ("mail_from", "nobody"),
        ("mail_from", "a@b\r\nBcc: c@d"),
        ("mail_from", "a@-ü.example"),
        ("mail_reply_to", "nobody"),
        ("mail_rate", "fast"),
        ("mail_give_up_after", "23h"),
        ("mail_templates_dir", "/there/is/nothing"),
        ("public_url", "ftp://example.org"),
        ("public_url", "https://example.org/?a=b"),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"ROWLOCK_{name.upper()}"):
        load_settings({name: value}, env_file=None)


def test_what_can_work_is_taken() -> None:
    settings = load_settings(
        {
            "smtp_url": "smtp+starttls://user:p%40ss@mail.example.org",
            "mail_from": "Bühne <tickets@bücher.example>",
            "mail_rate": "off",
            "mail_give_up_after": "24h",
            "public_url": "https://example.org/shop/",
        },
        env_file=None,
    )
    assert settings.mail_give_up_after == timedelta(hours=24)
    assert settings.mail_rate == ""
    assert settings.public_url == "https://example.org/shop"


def test_a_password_is_not_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"smtp_url": "smtp://user:s3cret@host:port"}, env_file=None)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(load_settings({"smtp_url": "smtp://user:s3cret@host"}, env_file=None))
