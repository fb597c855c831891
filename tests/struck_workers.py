"""Worker processes that a test may have struck at a chosen line; see ``tests/faults/dying_worker.py``."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from server.commands.children import child_environment
from server.config import Settings
from server.payments.wake import enqueue, redis_broker
from tests.eventually import eventually
from tests.faults.dying_worker import NO_FAULT
from workers.works import WORKS

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "faults" / "dying_worker.py"


class Workshop:
    """Makes workers. One program that has loaded everything forks them, which takes no time."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._begun: queue.Queue[int] = queue.Queue()
        self.ended: dict[int, int] = {}
        """Exit statuses by process id."""
        threading.Thread(target=self._read, daemon=True).start()

    def make(self, settings: Settings, point: str, strike: signal.Signals) -> int:
        """The process id of a new worker with short waits."""
        wanted = child_environment(
            settings,
            redis_key_prefix=settings.redis_key_prefix,
            simulator_success_rate=1,
            stripe_secret_key=settings.stripe_secret_key,
            stripe_api_base=settings.stripe_api_base,
            **_paypal(settings),
            payment_call_timeout=f"{_call_timeout(settings).total_seconds()}s",
            payment_resolve_interval="100ms",
            payment_sweep_interval="300ms",
            expiry_sweep_interval="300ms",
            delivery_private_networks=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([strike.name, point, wanted]) + "\n")
        return self._begun.get(timeout=60)

    def close(self) -> None:
        """Make no more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            match line.split():
                case ["began", pid]:
                    self._begun.put(int(pid))
                case ["ended", pid, status]:
                    self.ended[int(pid)] = int(status)


class Workers:
    """The workers of one test."""

    def __init__(self, workshop: Workshop, settings: Settings) -> None:
        self._workshop = workshop
        self.settings = settings

    def with_settings(self, **changes: Any) -> "Workers":
        """Workers that are told otherwise."""
        return Workers(self._workshop, self.settings.model_copy(update=changes))

    @asynccontextmanager
    async def at_work(self, point: str = NO_FAULT, strike: signal.Signals = signal.SIGKILL) -> AsyncIterator[int]:
        """A worker with a message for each kind of work, that is struck at ``point``; its process id."""
        pid = self._workshop.make(self.settings, point, strike)
        try:
            broker = redis_broker(self.settings.model_copy(update={"redis_timeout": timedelta(minutes=1)}))
            for work in WORKS:
                enqueue(broker, work.queue, work.actor)
            yield pid
        finally:
            if pid not in self._workshop.ended:
                os.kill(pid, signal.SIGKILL)
                await eventually(lambda: pid in self._workshop.ended)

    async def die(self, point: str) -> None:
        """Have a worker work until it is killed at ``point``. The test is void if it never comes there."""
        async with self.at_work(point) as pid:
            await eventually(lambda: pid in self._workshop.ended, 60)
            assert self._workshop.ended[pid] == -signal.SIGKILL, f"the fault did not fire: {point}"


def settings_of_workers(database_url: str, redis_url: str, folder: Path, **more: Any) -> Settings:
    """Settings with which workers have messages of the test's own, whoever else uses its Redis."""
    prefix = f"t{uuid4().hex[:8]}"
    return Settings(database_url=database_url, redis_url=redis_url, data_dir=folder, redis_key_prefix=prefix, **more)


def _call_timeout(settings: Settings) -> timedelta:
    """How long a worker waits for a provider: not long, as nobody wants to wait for a silent one, unless it is told."""
    return (
        settings.payment_call_timeout if "payment_call_timeout" in settings.model_fields_set else timedelta(seconds=1)
    )


def _paypal(settings: Settings) -> dict[str, object]:
    """The settings by which a worker is paid by PayPal, if it is to be."""
    names = ("paypal_mode", "paypal_base_url", "paypal_client_id", "paypal_client_secret")
    return {name: getattr(settings, name) for name in names} if settings.paypal_mode else {}
