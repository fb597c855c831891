"""A gate without a screen: a line in, a line out. For pipes, files, and whatever reads lines aloud."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from io import BufferedReader
from typing import Final, cast

import typer

from rowlock_client.cli.gate_answers import Answer, Tone
from rowlock_client.cli.gate_codes import ScannedText
from rowlock_client.cli.gate_keeper import Gate
from rowlock_client.cli.gate_screen import one_line
from rowlock_client.cli.terminal import KeyReader

_WORDS: Final = {Tone.GOOD: "OK", Tone.WARNING: "ASK", Tone.BAD: "NO"}
_CHUNK: Final = 4096


async def scan_lines(gate: Gate, ended: asyncio.Event, *, as_json: bool) -> bool:
    """Answer what comes on standard input, until its end.

    Args:
        gate: answers.
        ended: ends it earlier.
        as_json: whether to answer by JSON.

    Returns:
        Whether everybody was let in.
    """
    all_in = True
    reader, text = KeyReader(), ScannedText()
    chunks = _read_in_a_thread(asyncio.get_running_loop())
    ending = asyncio.create_task(ended.wait())
    try:
        while True:
            reading = asyncio.ensure_future(chunks.get())
            settles = text.settles_after
            await asyncio.wait({reading, ending}, timeout=settles, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                reading.cancel()
                return all_in
            if not reading.done():
                reading.cancel()
                codes, data = text.pause(), b" "
            else:
                data = reading.result()
                codes = text.feed(reader.feed(data) if data else ["enter"], time.monotonic())
            for code in codes:
                # Lines of a file are as many scans as they are, however fast they come; a scanner stammers.
                answer = await gate.scan(code, time.monotonic() if sys.stdin.isatty() else float("inf"))
                all_in &= answer.outcome.tone is Tone.GOOD
                typer.echo(json.dumps(_as_dict(answer), ensure_ascii=False) if as_json else _as_line(answer))
            if not data:
                return all_in
    finally:
        ending.cancel()


def _read_in_a_thread(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[bytes]:
    """What comes on standard input, which may be a file, that no event loop can wait for. Empty bytes: its end."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        data = b" "
        while data:
            data = cast("BufferedReader", sys.stdin.buffer).read1(_CHUNK)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(chunks.put_nowait, data)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return chunks


def _as_line(answer: Answer) -> str:
    return f"{_WORDS[answer.outcome.tone]:<4} {one_line(answer)}"


def _as_dict(answer: Answer) -> dict[str, object]:
    return {
        "time": answer.time.isoformat(),
        "outcome": answer.outcome.name,
        "admitted": answer.outcome.tone is Tone.GOOD,
        "seat": answer.seat,
        "ticket_type": answer.ticket_type,
        "detail": answer.detail,
        "offline": answer.offline,
    }
