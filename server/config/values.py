"""The kinds of values that several areas take, each with how it is written and what is refused."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from server import rates

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?")
_LONGEST = timedelta(days=36_500)
"""A time so far away is still a date that every part of the system can write down."""


def read_duration(value: object) -> object:
    """Read `15m`, `250ms`, `30 d` or plain seconds; leave the rest to pydantic (a timedelta passes)."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip().lower())
        if match is None:
            raise ValueError("must be a duration such as 250ms, 10s, 15m, 3h or 30d")
        seconds = float(match[1]) * _UNITS[match[2] or "s"]
        if seconds > _LONGEST.total_seconds():
            raise ValueError(f"must be at most {_LONGEST.days}d")
        return timedelta(seconds=seconds)
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("must not be negative")
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than zero")
    return value


def read_commas(value: object) -> object:
    """Read `a, b` as its parts; leave the rest to pydantic."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _rate(value: str) -> str:
    try:
        rates.Rate.parse(value)
    except ValueError:
        raise ValueError("must be a rate such as 10/second, 300/minute or 5/10 minutes") from None
    return value


def _optional_rate(value: str) -> str:
    return "" if value in {"", "off"} else _rate(value)


def _networks(value: frozenset[str]) -> frozenset[str]:
    for network in value:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"{network!r} is not a network such as 10.0.0.0/8 or 2001:db8::/32") from None
    return value


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:50051, [::]:50051 or 127.0.0.1:0 (any free port)")
    return value


def _optional_address(value: str) -> str:
    return "" if value in {"", "off"} else _address(value)


def _public_url(value: str) -> str:
    if not value:
        return value
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        if url.scheme in {"http", "https"} and url.hostname and not (url.query or url.fragment):
            return value.rstrip("/")
    raise ValueError("must be such as https://tickets.example.org")


Duration = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(_not_negative)]
PositiveDuration = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(_positive)]
Rate = Annotated[str, AfterValidator(_rate)]
OptionalRate = Annotated[str, AfterValidator(_optional_rate)]
Address = Annotated[str, AfterValidator(_address)]
OptionalAddress = Annotated[str, AfterValidator(_optional_address)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(read_commas)]
Networks = Annotated[frozenset[str], NoDecode, BeforeValidator(read_commas), AfterValidator(_networks)]
