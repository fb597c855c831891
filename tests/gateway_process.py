"""The built gateway as a process of its own, in front of real servers, and what its callers see."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from server import gateway_build


@dataclass
class Gateway:
    """A gateway that answers.

    Args:
        process: to send signals to.
        url: where it is.
        log: what it has written so far, line by line.
    """

    process: asyncio.subprocess.Process
    url: str
    log: list[dict[str, Any]] = field(default_factory=list)

    async def logged(self, **wanted: object) -> dict[str, Any]:
        """The newest line with these fields; waits for it."""
        while True:
            for line in reversed(self.log):
                if wanted.items() <= line.items():
                    found: dict[str, Any] = line
                    return found
            await asyncio.sleep(0.02)

    async def stop(self) -> int:
        """Ask it to end, and wait until it has; returns its exit status."""
        self.process.terminate()
        return await self.process.wait()


@asynccontextmanager
async def gateway_process(servers: Sequence[str], *arguments: str) -> AsyncIterator[Gateway]:
    """A gateway of one's own within the block, on a free port.

    Args:
        servers: which it calls, as host:port.
        arguments: further flags.
    """
    program = await asyncio.to_thread(gateway_build.build)
    process = await asyncio.create_subprocess_exec(
        str(program),
        "-address=127.0.0.1:0",
        f"-servers={','.join(servers)}",
        "-metrics-address=off",
        "-log-format=json",
        "-log-level=debug",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
        env={name: value for name, value in os.environ.items() if not name.startswith("ROWLOCK_")},
    )
    assert process.stdout is not None
    first = json.loads(await process.stdout.readline())
    assert first["event"] == "serving", first
    scheme = "https" if any(one.startswith("-tls-cert-file=") for one in arguments) else "http"
    gateway = Gateway(process, f"{scheme}://{first['address']}", [first])

    async def read(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            gateway.log.append(json.loads(line))

    reader = asyncio.create_task(read(process.stdout))
    try:
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader


def reason(answer: httpx.Response) -> str:
    """The `google.rpc.ErrorInfo` reason of a refusal."""
    return next((str(one["reason"]) for one in answer.json()["details"] if "reason" in one), "")


def fields(answer: httpx.Response) -> list[str]:
    """The fields that a refusal names."""
    return [str(violation["field"]) for one in answer.json()["details"] for violation in one.get("fieldViolations", ())]
