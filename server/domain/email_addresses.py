"""E-mail addresses: the form in which two of them are the same."""

import unicodedata


def email_key(email: str) -> str:
    """The form of an address in which it is compared."""
    return unicodedata.normalize("NFKC", email).casefold()
