"""Drives the load generator: a Go program of its own process, built from `bench/loadgen` when it is needed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bench.machine import ROOT
from bench.programs import ProcessorTime

CALLERS = 128
CONNECTIONS = 4

Chain = tuple[int, Sequence[bytes]]
"""The number of a token, and an encoded request for each step."""

Arrival = tuple[int, int]
"""A message's revision, and when it came in microseconds since 1970."""


def build() -> Path:
    """Compile the generator, which takes a moment the first time.

    Raises:
        RuntimeError: it cannot be compiled; the text says why.
    """
    program = ROOT / ".tools" / "bin" / "loadgen"
    program.parent.mkdir(parents=True, exist_ok=True)
    # The toolchain on the PATH, else the one that comes as a wheel.
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    built = subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=ROOT / "bench" / "loadgen",
        env={**os.environ, "CGO_ENABLED": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"the load generator cannot be compiled:\n{built.stderr}")
    return program


@dataclass(frozen=True)
class Calls:
    """What one run of callers found. A chain counts if its last call was answered OK."""

    chains: int
    seconds: float
    answers: dict[str, int]
    p50_ms: float
    """Of a chain that counts."""
    p99_ms: float
    answer_p99_ms: float
    """Of single calls, refused ones too."""
    retries: int
    steps: list[dict[str, float]]
    bytes_sent: float
    """Per call, of messages only."""
    bytes_received: float
    cpu_us: dict[str, float]
    """Processor time per chain, in microseconds, by process: tells costs apart even where others load the machine."""

    @property
    def per_s(self) -> float:
        """Chains per second."""
        return self.chains / self.seconds

    def kept(self) -> dict[str, Any]:
        """Everything, for the file of results."""
        return {"per_s": round(self.per_s, 1), **asdict(self)}

    def shown(self) -> str:
        """In a word."""
        return f"{self.per_s:,.0f}/s"

    def require_success(self) -> None:
        """Every call was answered OK.

        Raises:
            RuntimeError: one was not, so that the figure means something else than it says.
        """
        if set(self.answers) != {"OK"}:
            raise RuntimeError(f"calls failed: {self.answers}")


def calls(
    target: str,
    steps: str,
    chains: Path,
    *,
    tokens: Path | None = None,
    callers: int = CALLERS,
    connections: int = CONNECTIONS,
    seconds: float = 0,
    rate: float = 0,
    retries: int = 0,
    pause: float = 0.02,
    timeout: float = 30,
    pids: Mapping[str, int] | None = None,
) -> Calls:
    """Let callers make chains of calls.

    Args:
        target: host:port.
        steps: the methods of a chain, as `loadgen/steps.go` says.
        chains: a file of `write_chains`.
        tokens: a file of `write_tokens`; None: no token is sent.
        callers: chains under way at once.
        connections: which they share.
        seconds: begin chains for so long, over and over; 0: each once.
        rate: chains begun per second; 0: as many as the callers manage.
        retries: tries more where the server asks to come back.
        pause: seconds between two calls of a step that is repeated.
        timeout: deadline of each call, in seconds.
        pids: processes whose processor time is told, by name.
    """
    arguments = [
        f"-target={target}",
        f"-steps={steps}",
        f"-chains={chains}",
        f"-tokens={tokens or ''}",
        f"-callers={callers}",
        f"-connections={connections}",
        f"-for={seconds}s",
        f"-rate={rate}",
        f"-retries={retries}",
        f"-pause={pause}s",
        f"-timeout={timeout}s",
    ]
    return _run("calls", arguments, pids or {})


def rest(
    url: str,
    *,
    seconds: float,
    tokens: Path | None = None,
    callers: int = CALLERS,
    pids: Mapping[str, int] | None = None,
) -> Calls:
    """Let callers ask for one address over HTTP, each on a connection of its own; a chain is one request.

    Args:
        url: what is asked for.
        seconds: how long.
        tokens: a file of `write_tokens`; None: no token is sent.
        callers: requests under way at once.
        pids: processes whose processor time is told, by name.
    """
    arguments = [f"-url={url}", f"-tokens={tokens or ''}", f"-callers={callers}", f"-for={seconds}s"]
    return _run("rest", arguments, pids or {})


def _run(command: str, arguments: Sequence[str], pids: Mapping[str, int]) -> Calls:
    time = ProcessorTime(pids)
    done = subprocess.run([str(_program()), command, *arguments], check=False, capture_output=True, text=True)
    used = time.used()
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    answered = max(1, sum(found["answers"].values()))
    return Calls(
        chains=found["chains"],
        seconds=found["seconds"],
        answers=found["answers"],
        p50_ms=found["chain"]["p50_ms"],
        p99_ms=found["chain"]["p99_ms"],
        answer_p99_ms=found["calls"]["p99_ms"],
        retries=found["retries"],
        steps=found["steps"],
        bytes_sent=round(found["bytes_sent"] / answered, 1),
        bytes_received=round(found["bytes_received"] / answered, 1),
        cpu_us={name: round(1e6 * one / max(1, found["chains"]), 1) for name, one in used.items()},
    )


def write_chains(file: Path, chains: Iterable[Chain]) -> Path:
    """Encode chains for the generator."""
    out = bytearray()
    for token, requests in chains:
        out += _varint(token)
        for request in requests:
            out += _varint(len(request)) + request
    file.write_bytes(out)
    return file


def write_tokens(file: Path, tokens: Iterable[str]) -> Path:
    """Write access tokens for the generator."""
    file.write_text("\n".join(tokens))
    return file


class Watchers:
    """Streams held open by one process of the generator, from entering to leaving the `with` block.

    Args:
        target: host:port.
        method: the server-streaming method, `/package.Service/Method`.
        request: the encoded request.
        watchers: streams.
        folder: for the generator's files.
        tokens: a file of `write_tokens`.
        connections: which they share; 0: each has its own.
        opening: streams being opened at once.
        url: a stream of newline-delimited JSON over HTTP, in the place of target, method and request.
    """

    def __init__(
        self,
        target: str,
        method: str,
        request: bytes,
        *,
        watchers: int,
        folder: Path,
        tokens: Path | None = None,
        connections: int = 0,
        opening: int = 200,
        url: str = "",
    ) -> None:
        self._arrivals = folder / "arrivals"
        self._arrivals.unlink(missing_ok=True)
        encoded = folder / "request"
        encoded.write_bytes(request)
        self._arguments = [
            f"-target={target}",
            f"-method={method}",
            f"-request={encoded}",
            f"-tokens={tokens or ''}",
            f"-arrivals={self._arrivals}",
            f"-watchers={watchers}",
            f"-connections={connections or watchers}",
            f"-opening={opening}",
            f"-url={url}",
        ]
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Open the streams; `ready` then tells of their first messages."""
        self._process = subprocess.Popen(
            [str(_program()), "watch", *self._arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready = self._line()
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        if self._process.poll() is None:
            self.quit()

    @property
    def pid(self) -> int:
        """Process id of the generator."""
        return self._process.pid

    def tell(self, command: str) -> dict[str, Any]:
        """`count`, `record` or `stop`; returns what came since the command before."""
        assert self._process.stdin is not None  # noqa: S101 (a pipe was asked for)
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._line()

    def quit(self) -> list[list[Arrival]]:
        """End; returns what was recorded, stream by stream."""
        self._process.communicate("quit\n", timeout=60)
        raw = memoryview(self._arrivals.read_bytes()).cast("Q") if self._arrivals.exists() else []
        streams: list[list[Arrival]] = [[]]
        for arrival in zip(raw[::2], raw[1::2], strict=True):
            if arrival == (0, 0):
                streams.append([])
            else:
                streams[-1].append(arrival)
        return streams[:-1]

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 (a pipe was asked for)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended; its errors are above")
        found: dict[str, Any] = json.loads(line)
        return found


def _program() -> Path:
    return ROOT / ".tools" / "bin" / "loadgen"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
