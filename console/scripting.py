"""Which scripts a browser runs in a page: ours, which have a nonce that is new for each answer, and no others.

The library's templates have scripts in them. A `<script` in the source of a template, which nobody outside writes, gets
the nonce; one that somebody managed to have shown as markup does not, and is not run.
"""

import base64
import hashlib
import re
import secrets
from contextvars import ContextVar
from typing import Final

from jinja2 import Environment
from jinja2.ext import Extension

_nonce: ContextVar[str] = ContextVar("nonce", default="")
_SCRIPT: Final = re.compile(r"<script(?=[\s>])")
_PAGE_SIZE: Final = "window.location = this.value"
"""The one script in an attribute that the library's pages use: the choice of how many rows a page has."""
_HASH: Final = base64.b64encode(hashlib.sha256(_PAGE_SIZE.encode()).digest()).decode()


class _Nonces(Extension):
    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _SCRIPT.sub('<script nonce="{{ script_nonce() }}"', source)


def mark_scripts(environment: Environment) -> None:
    """From now on give the scripts in templates the nonce of the answer that they are part of."""
    environment.add_extension(_Nonces)
    environment.globals["script_nonce"] = _nonce.get


def new_policy() -> str:
    """The Content-Security-Policy of an answer, whose nonce templates have from now on in this context."""
    nonce = secrets.token_urlsafe(16)
    _nonce.set(nonce)
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-hashes' 'sha256-{_HASH}'; "
        # The library's pages, its pictures of figures and its libraries set styles.
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
