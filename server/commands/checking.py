"""Holds what commands are given against the rules of the contract, which no interceptor does for them."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from google.protobuf.message import Message
from protovalidate import Validator

from server.interceptors.validation import refusal


def require_valid(message: Message, options: Mapping[str, str]) -> None:
    """Refuse what a call with this message would be refused for.

    Args:
        message: what was given, in the words of the contract.
        options: by the path of each field, the option that it came from.

    Raises:
        typer.BadParameter: names the first option at fault, and what is wrong with it.
    """
    if violations := Validator().collect_violations(message):
        fault = refusal(message, violations).fields[0]
        raise typer.BadParameter(fault.description, param_hint=options.get(fault.field, fault.field))
