"""What must never be wrong with the record of what staff did. See ``server.audit``."""

from typing import Final

# Those that the seat ledger carries out; it writes its log and the record at one time of the clock.
_BY_THE_LEDGER: Final = """'BookingService.CreateBooking', 'BookingService.AddSeats', 'BookingService.RemoveSeats',
    'BookingService.ExtendBooking', 'BookingService.ConfirmBooking', 'BookingService.CancelBooking',
    'BookingService.RefundTickets', 'EventService.BlockSeats', 'EventService.UnblockSeats',
    'BoxOfficeService.CreateAllocation', 'BoxOfficeService.ReleaseAllocation'"""

ALWAYS: Final = {
    "what is on record of staff at the ledger is in its log": f"""
        SELECT s.id, s.method FROM staff_actions s
        WHERE s.method IN ({_BY_THE_LEDGER}) AND NOT EXISTS (
            SELECT FROM command_log l WHERE l.actor_id = s.actor_id AND l.time = s.action_time)""",  # noqa: S608 - words of this module only
    "who is on record as staff acted as staff": """
        SELECT id, role FROM staff_actions WHERE role NOT IN (2, 3)""",
}
