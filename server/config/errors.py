"""Why a process does not start."""

from __future__ import annotations

from typing import ClassVar


class StartError(Exception):
    """A process cannot start; the text says what is wrong or missing, where, and how to mend it."""

    exit_status: ClassVar[int] = 69
    """What the program ends with: EX_UNAVAILABLE of sysexits.h. Starting again later may help."""


class SettingsError(StartError):
    """The environment holds a value that cannot be used; the text says which, and what is accepted."""

    exit_status = 78
    """EX_CONFIG of sysexits.h. Starting again does not help."""
