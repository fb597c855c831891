"""Where files are that belong to Rowlock and are no Python: beside the packages in a checkout, inside in a wheel."""

from pathlib import Path


def kiosk() -> Path | None:
    """The folder of the screens, if they are there: the gateway serves them, and the console draws halls with them."""
    inside, beside = Path(__file__).parent / "kiosk", Path(__file__).parent.parent / "clients" / "kiosk"
    return next((folder for folder in (inside, beside) if (folder / "index.html").exists()), None)
