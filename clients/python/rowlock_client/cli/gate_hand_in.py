"""Hands in what a gate decided without the server; repeating any of it does no harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1.ticket_pb2 import CheckIn, OfflineScan
from rowlock_client import aio, calls
from rowlock_client.cli.gate_answers import forbids, refusal_of
from rowlock_client.cli.gate_scans import KeptScan, ScanFile
from rowlock_client.errors import FailedPrecondition, InvalidArgument, NotFound, RowlockError

_UPLOAD: Final = 500
_SECONDS: Final = 20.0
_NEVER_TAKEN: Final = (InvalidArgument, FailedPrecondition, NotFound)


@dataclass(slots=True)
class HandedIn:
    """What became of scans.

    Attributes:
        tickets: the name of each scan's ticket, by scan id.
        conflicts: people who were let in and should not have been, each scan with what the server has on record.
        refused: scans that the server does not take, each with its reason.
    """

    tickets: dict[str, str] = field(default_factory=dict)
    conflicts: list[tuple[KeptScan, CheckIn]] = field(default_factory=list)
    refused: list[tuple[KeptScan, str]] = field(default_factory=list)

    def note(self, scans: Sequence[KeptScan], found: Sequence[CheckIn]) -> None:
        """Add what the server made of scans, in their order."""
        for scan, check_in in zip(scans, found, strict=True):
            self.tickets[scan.scan_id] = check_in.ticket
            if check_in.conflict:
                self.conflicts.append((scan, check_in))


async def hand_in(client: aio.Client, performance: str, device: str, file: ScanFile, result: HandedIn) -> None:
    """Hand in all that waits.

    Args:
        client: of a gate, or of staff.
        performance: the one that was let in.
        device: how the server knows this gate.
        file: the scans.
        result: what became of them is added here, also if not all could be handed in.

    Raises:
        RowlockError: the server could not take them now; they go on waiting.
    """
    for scan in [one for one in file.waiting if one.request_id]:
        await _settle(client, performance, file, scan, result)

    async def upload(scans: Sequence[KeptScan]) -> None:
        rpc = calls.upload_scans(performance, map(_message, scans), device=device)
        answer = await client.call(rpc, timeout=_SECONDS)
        file.handed_in(scans)
        result.note(scans, answer.check_ins)

    while waiting := file.waiting[:_UPLOAD]:
        try:
            await upload(waiting)
        except _NEVER_TAKEN as error:
            if len(waiting) > 1:
                await _one_by_one(upload, file, waiting, result)
            else:
                _give_up(file, waiting[0], error, result)


async def _one_by_one(
    upload: Callable[[Sequence[KeptScan]], Awaitable[None]],
    file: ScanFile,
    scans: Sequence[KeptScan],
    result: HandedIn,
) -> None:
    """One scan that the server does not take must not hold up the others."""
    for scan in scans:
        try:
            await upload([scan])
        except _NEVER_TAKEN as error:
            _give_up(file, scan, error, result)


def _give_up(file: ScanFile, scan: KeptScan, error: RowlockError, result: HandedIn) -> None:
    file.handed_in([scan])
    result.refused.append((scan, str(error)))


async def _settle(client: aio.Client, performance: str, file: ScanFile, scan: KeptScan, result: HandedIn) -> None:
    """Ask a question again that was never answered, about somebody who was let in then.

    Had the server let the ticket in by it, handing the scan in as well would look like a second bearer.
    """
    rpc = calls.check_in(performance, scan.code, place=scan.place)
    try:
        ticket = await client.call(rpc, timeout=_SECONDS, request_id=scan.request_id)
    except RowlockError as error:
        if forbids(error) or refusal_of(error) is None:
            raise
        return  # The server has not let it in by that question: what happened here is news.
    file.handed_in([scan])
    result.tickets[scan.scan_id] = ticket.name


def _message(scan: KeptScan) -> OfflineScan:
    time = Timestamp()
    time.FromDatetime(scan.time)
    return OfflineScan(scan_id=scan.scan_id, code=scan.code, scan_time=time, place=scan.place, admitted=scan.admitted)
