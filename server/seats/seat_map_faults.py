"""Reading an untrusted JSON file so that its author learns every fault at once, each with its JSON path.

Used by both seat map formats. Nothing here stops at the first fault: a wrong value is noted and replaced by
`None`, so that the rest of the file is still checked. What one file can make us do is bounded: its size, its
nesting, and the number of faults that are kept (the others are only counted).
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 32 * 1024 * 1024
MAX_FAULTS = 1_000
MAX_DEPTH = 20
MAX_TEXT = 200
# Coordinates beyond this are a mistake, and would lose their tenths in a 32-bit float on the wire.
MAX_COORDINATE = 1_000_000.0
ROOT = "$"

# Control characters, line and paragraph separators, lone surrogates, and the marks that reorder text: none
# belongs in a name, and each can make one seat look like another on a screen or a ticket.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file: where (`sections[2].rows[5].seats[3].zone`; `$` is the whole file) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SeatMapFileError(Exception):
    """The file is no seat map. `faults` are the first ones found, `total` is how many there are."""

    def __init__(self, faults: tuple[Fault, ...], total: int) -> None:
        self.faults = faults
        self.total = total
        more = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(f"{faults[0]}{more}")


class Faults:
    """Collects faults."""

    def __init__(self) -> None:
        self._kept: list[Fault] = []
        self._total = 0

    def add(self, path: str, message: str) -> None:
        """Note one fault."""
        self._total += 1
        if len(self._kept) < MAX_FAULTS:
            self._kept.append(Fault(path, message))

    @property
    def full(self) -> bool:
        """True when further faults are only counted: what is costly to check may then be left out."""
        return self._total >= MAX_FAULTS

    def error(self) -> SeatMapFileError:
        """The exception that tells all of them."""
        return SeatMapFileError(tuple(self._kept), self._total)

    def raise_if_any(self) -> None:
        """Raise SeatMapFileError unless the file is clean so far."""
        if self._total:
            raise self.error()


class _Repeated(dict[str, Any]):
    """A JSON object that gives some key more than once."""

    keys_given_twice: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    repeated = _Repeated(plain)
    counts = Counter(key for key, _ in pairs)
    repeated.keys_given_twice = tuple(key for key, count in counts.items() if count > 1)
    return repeated


def decode(data: bytes, faults: Faults) -> object:
    """Decode JSON text and check what holds for every value of it: texts, numbers, keys, nesting.

    Raises:
        SeatMapFileError: at once where there is no JSON to look into.
    """
    document = _load(data, faults)
    faults.raise_if_any()
    _check_values(document, faults)
    return document


def _load(data: bytes, faults: Faults) -> object:
    if len(data) > MAX_BYTES:
        faults.add(ROOT, f"the file has {len(data)} bytes; at most {MAX_BYTES} are read")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.add(ROOT, f"not UTF-8 at byte {error.start}")
        return None
    try:
        document: object = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        faults.add(ROOT, f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}")
    except RecursionError:
        faults.add(ROOT, f"nested deeper than {MAX_DEPTH} levels")
    except ValueError:  # the only one left: an integer with more digits than Python converts
        faults.add(ROOT, "a number has too many digits")
    else:
        return document
    return None


def _check_values(document: object, faults: Faults) -> None:
    pending: list[tuple[str, object, int]] = [(ROOT, document, 0)]
    while pending:
        path, value, depth = pending.pop()
        if isinstance(value, str):
            _check_text(path, value, faults)
        elif isinstance(value, float) and not math.isfinite(value):
            faults.add(path, "must be a finite number")
        elif isinstance(value, dict | list):
            if depth == MAX_DEPTH:
                faults.add(path, f"nested deeper than {MAX_DEPTH} levels")
                continue
            if isinstance(value, _Repeated):
                for key in value.keys_given_twice:
                    faults.add(join(path, key), "is given twice")
            pending += [(at, item, depth + 1) for at, item in _interesting(path, value)]


def _interesting(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    """The members that can have a fault, last first: a stack of them is then taken in file order."""
    if isinstance(value, list):
        for index in range(len(value) - 1, -1, -1):
            item = value[index]
            if isinstance(item, str | float | dict | list):
                yield f"{path}[{index}]" if path != ROOT else f"[{index}]", item
    else:
        for key in reversed(value):
            item = value[key]
            if isinstance(item, str | float | dict | list):
                yield join(path, key), item


def _check_text(path: str, text: str, faults: Faults) -> None:
    if len(text) > MAX_TEXT:
        faults.add(path, f"has {len(text)} characters; at most {MAX_TEXT} are allowed")
    elif match := _FORBIDDEN.search(text):
        faults.add(path, f"contains the forbidden character U+{ord(match[0]):04X}")


def join(path: str, key: str) -> str:
    """The path of a member; a key that is not a plain word is quoted and cut, for it may be anything."""
    if not _PLAIN_KEY.fullmatch(key):
        quoted = f"[{json.dumps(key[:40])}]"
        return quoted if path == ROOT else path + quoted
    return key if path == ROOT else f"{path}.{key}"


def quote(text: str) -> str:
    """A text from the file as it appears in a message: quoted, escaped and cut."""
    return json.dumps(text[:64], ensure_ascii=bool(_FORBIDDEN.search(text)))


class Node:
    """A JSON object being checked. Each reader notes a fault and returns None where the value is wrong."""

    __slots__ = ("_faults", "_members", "_read", "path")

    def __init__(self, members: dict[str, Any], path: str, faults: Faults) -> None:
        self.path = path
        self._members = members
        self._faults = faults
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._members

    @property
    def raw(self) -> dict[str, Any]:
        """The members as the file gives them."""
        return self._members

    def at(self, key: str) -> str:
        """The path of a member."""
        return join(self.path, key)

    def fault(self, key: str, message: str, index: int | None = None) -> None:
        """Note a fault of a member, of an entry of it, or of the object itself when key is empty."""
        path = self.at(key) if key else self.path
        self._faults.add(path if index is None else f"{path}[{index}]", message)

    def _take(self, key: str, *, required: bool) -> object:
        self._read.add(key)
        value = self._members.get(key)
        if value is None and (required or key in self._members):
            self.fault(key, "is missing" if key not in self._members else "must not be null")
        return value

    def text(self, key: str, limit: int, *, required: bool = True, blank: bool = False) -> str | None:
        """A text of at most `limit` characters without spaces at its ends; `blank` allows it to be empty."""
        value = self._take(key, required=required)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(key, "must be a text")
        elif not value and not blank:
            self.fault(key, "must not be empty")
        elif value != value.strip():
            self.fault(key, "must not begin or end with a space")
        elif limit < len(value) <= MAX_TEXT:  # a longer one is already a fault of decode
            self.fault(key, f"has {len(value)} characters; at most {limit} are allowed")
        else:
            return value
        return None

    def number(
        self,
        key: str,
        low: float = -MAX_COORDINATE,
        high: float = MAX_COORDINATE,
        *,
        required: bool = True,
        above: bool = False,
    ) -> float | None:
        """A number from `low` (not included if `above`) to `high`."""
        value = self._take(key, required=required)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(key, "must be a number")
        elif isinstance(value, float) and not math.isfinite(value):
            pass  # already a fault of decode
        elif value < low or value > high or (above and value == low):
            self.fault(key, f"must be {'above' if above else 'at least'} {low:g} and at most {high:g}")
        else:
            return float(value)
        return None

    def integer(self, key: str, low: int, high: int, *, required: bool = True) -> int | None:
        """A whole number from `low` to `high`."""
        value = self._take(key, required=required)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault(key, "must be a whole number")
        elif not low <= value <= high:
            self.fault(key, f"must be at least {low} and at most {high}")
        else:
            return value
        return None

    def flag(self, key: str) -> bool:
        """An optional true or false; false when absent."""
        value = self._take(key, required=False)
        if value is not None and not isinstance(value, bool):
            self.fault(key, "must be true or false")
        return value is True

    def child(self, key: str, *, required: bool = True) -> "Node | None":
        """An object."""
        value = self._take(key, required=required)
        if value is not None and not isinstance(value, dict):
            self.fault(key, "must be an object")
            return None
        return None if value is None else Node(value, self.at(key), self._faults)

    def items(self, key: str, most: int, *, required: bool = True) -> list[Any]:
        """A list of at most `most` values; empty where it is absent or wrong."""
        value = self._take(key, required=required)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(key, "must be a list")
            return []
        if len(value) > most:
            self.fault(key, f"has {len(value)} entries; at most {most} are allowed")
            return []
        return value

    def children(self, key: str, most: int, *, required: bool = True) -> "list[Node]":
        """A list of objects; entries that are none are noted and left out."""
        nodes = []
        for index, item in enumerate(self.items(key, most, required=required)):
            path = f"{self.at(key)}[{index}]"
            if isinstance(item, dict):
                nodes.append(Node(item, path, self._faults))
            else:
                self._faults.add(path, "must be an object")
        return nodes

    def skip(self, *keys: str) -> None:
        """Leave members unchecked, because of a fault that makes their meaning unclear."""
        self._read.update(keys)

    def refuse_unknown(self) -> None:
        """Note every member that no reader asked for."""
        for key in self._members:
            if key not in self._read:
                self.fault(key, "is not part of the format")


def root(document: object, faults: Faults) -> Node:
    """The file's outermost object.

    Raises:
        SeatMapFileError: if it is none, for then there is nothing to look into.
    """
    if isinstance(document, dict):
        return Node(document, ROOT, faults)
    faults.add(ROOT, "must be an object")
    raise faults.error()
