"""Writes every mail as files, for a look at the templates."""

from html import escape
from pathlib import Path

from server.mail.rendering import Renderer
from server.mail.samples import sample
from server.states import NotificationKind


def write_samples(renderer: Renderer, folder: Path) -> dict[str, str]:
    """Write a page and a text for each kind, and a page with all of them; returns what failed, by kind.

    Args:
        renderer: with the templates to look at.
        folder: made if absent; files in it are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    failed, shown = {}, []
    for kind in NotificationKind:
        name = kind.name.lower()
        try:
            words = renderer.render(sample(kind))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a template, the others are shown
            failed[name] = f"{type(error).__name__}: {error}"
            continue
        (folder / f"{name}.html").write_text(words.html)
        (folder / f"{name}.txt").write_text(words.text)
        shown.append(
            f"<h2>{escape(words.subject)}</h2><p><code>{name}</code></p>"
            f'<iframe src="{name}.html" title="{name}"></iframe><pre>{escape(words.text)}</pre>'
        )
    (folder / "index.html").write_text(_PAGE.format(body="\n".join(shown)))
    return failed


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mails of Rowlock</title>
<style>
body {{ font-family: sans-serif; margin: 2rem; }}
iframe {{ width: 640px; height: 620px; border: 1px solid #ccc; vertical-align: top; }}
pre {{ display: inline-block; width: 560px; margin: 0 1rem; white-space: pre-wrap; vertical-align: top; }}
</style></head>
<body>
{body}
</body></html>
"""
