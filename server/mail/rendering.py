"""Makes words of facts: a subject, a text and an HTML page per message, by templates.

A kind has two templates, ``booking_confirmed.txt`` and ``booking_confirmed.html``. The text one has the blocks
``subject`` and ``body``; the inbox shows its body, without the layout around it and without codes. HTML is escaped
always, and a name that a template does not know is an error rather than a gap. A folder of the installation's own comes
first, file by file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)
from jinja2 import Template as JinjaTemplate

from server.domain.notification_facts import Facts
from server.mail import formats

_LONGEST_SUBJECT: Final = 200
# Nothing that ends a line, turns the direction of writing or hides in a subject.
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


@dataclass(frozen=True, slots=True)
class Words:
    """What is said. ``inbox`` is the text without greeting, footer and codes."""

    subject: str
    text: str
    html: str
    inbox: str


@dataclass(frozen=True, slots=True)
class InboxWords:
    """What the inbox shows."""

    subject: str
    body: str


class Renderer:
    """The templates of an installation.

    Args:
        public_url: what links begin with; empty: there are none.
        templates: a folder whose files come before Rowlock's own; None: there is none.
        sender: the name that mails come from, where the house has given itself none.
    """

    def __init__(self, *, public_url: str = "", templates: Path | None = None, sender: str = "") -> None:
        own: list[BaseLoader] = [] if templates is None else [FileSystemLoader(templates)]
        self._public_url = public_url
        self._sender = sender
        self._environment = Environment(
            loader=ChoiceLoader([*own, PackageLoader("server.mail")]),
            autoescape=select_autoescape(disabled_extensions=("txt",), default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            money=formats.money,
            day=formats.day,
            clock_time=formats.clock_time,
            moment=formats.moment,
            paragraphs=formats.paragraphs,
        )
        self._environment.globals["link"] = self._link

    def render(self, facts: Facts) -> Words:
        """The whole message.

        Raises:
            jinja2.TemplateError: a template is wrong, or lacks a fact.
        """
        kind = facts.kind.name.lower()
        text, html = (self._environment.get_template(f"{kind}.{form}") for form in ("txt", "html"))
        shown = self._shown(facts)
        shown["subject"] = _one_line(_block(text, "subject", shown))
        inbox = self.render_for_inbox(facts)
        return Words(shown["subject"], _tidy(text.render(shown)), html.render(shown), inbox.body)

    def render_for_inbox(self, facts: Facts) -> InboxWords:
        """What the recipient reads when signed in: no code, whatever the facts have.

        Raises:
            jinja2.TemplateError: as for ``render``.
        """
        text = self._environment.get_template(f"{facts.kind.name.lower()}.txt")
        shown = {**self._shown(replace(facts, code=None)), "inbox": True}
        shown["subject"] = _one_line(_block(text, "subject", shown))
        return InboxWords(shown["subject"], _tidy(_block(text, "body", shown)))

    def _shown(self, facts: Facts) -> dict[str, Any]:
        """The names that templates know."""
        names: Mapping[str, Any] = {name: getattr(facts, name) for name in Facts.__slots__}
        return {**names, "house_name": facts.house.name or self._sender, "inbox": False}

    def _link(self, path: str, **fragment: str) -> str:
        """A link to ``path``; secrets go behind the #, which browsers do not send on. Empty without a public URL."""
        if not self._public_url:
            return ""
        behind = "&".join(f"{name}={quote(value, safe='')}" for name, value in fragment.items())
        return f"{self._public_url}/{quote(path)}{'#' if behind else ''}{behind}"


def _block(template: JinjaTemplate, name: str, shown: Mapping[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(dict(shown))))


def _one_line(text: str) -> str:
    return " ".join(_UNSEEN.sub(" ", text).split())[:_LONGEST_SUBJECT]


def _tidy(text: str) -> str:
    """At most one empty line at a time, none around."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip() + "\n"
