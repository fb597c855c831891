"""Checkers of what must never happen, as SQL on one snapshot: seats, money, the change log.

Operators run them by `rowlock audit`, the tests at the end of every story, the demo after its race.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from server.db.engine import Database

# Each names what would be wrong; a row that comes back is a fault.
ALWAYS: Final = {
    "S1 a live booking's places are its own, and only they": """
        SELECT b.performance_id, b.id, p.place FROM bookings b CROSS JOIN unnest(b.places) p(place)
        LEFT JOIN seats s ON s.performance_id = b.performance_id AND s.place = p.place
        WHERE b.state IN (1, 2) AND s.booking_id IS DISTINCT FROM b.id""",
    "S1 a claimed seat names a live booking that has it, in the same state": """
        SELECT s.performance_id, s.place FROM seats s
        LEFT JOIN bookings b ON b.performance_id = s.performance_id AND b.id = s.booking_id
        WHERE s.booking_id IS NOT NULL
          AND (b.id IS NULL OR b.state <> s.state - 1 OR NOT s.place = ANY (b.places))""",
    "S2 the counts equal the rows": """
        SELECT i.performance_id FROM inventories i LEFT JOIN (
            SELECT performance_id, count(*) total, count(*) FILTER (WHERE state = 1) available,
                   count(*) FILTER (WHERE state = 2) held, count(*) FILTER (WHERE state = 3) sold,
                   count(*) FILTER (WHERE state = 4) blocked
            FROM seats GROUP BY performance_id) s USING (performance_id)
        WHERE (i.total, i.available, i.held, i.sold, i.blocked)
              IS DISTINCT FROM (s.total, s.available, s.held, s.sold, s.blocked)""",
    "S5 no hold is longer than allowed": """
        SELECT id FROM bookings WHERE hold_expire_time - hold_start_time > interval '30 minutes 1 second'""",
    "S6 each transition is a listed one": """
        SELECT subject_id, version, from_state, to_state FROM command_log
        WHERE command NOT IN ('block', 'unblock') AND (from_state, to_state) NOT IN
              ((1, 1), (1, 2), (1, 3), (1, 4), (2, 3)) AND NOT (from_state IS NULL AND to_state = 1)""",
    "S6 the log of a booking leads to its state": """
        SELECT b.id FROM bookings b LEFT JOIN LATERAL (
            SELECT to_state FROM command_log l WHERE l.performance_id = b.performance_id AND l.subject_id = b.id
            ORDER BY version DESC LIMIT 1) l ON true
        WHERE l.to_state IS DISTINCT FROM b.state""",
    "S8 the quotas equal the places": """
        SELECT * FROM (
            SELECT performance_id, 'c' || replace(customer_id::text, '-', '') AS key, sum(cardinality(places)) AS used
            FROM bookings WHERE state IN (1, 2) AND cardinality(places) > 0 GROUP BY 1, 2) b
        FULL JOIN (SELECT performance_id, key, used FROM quotas
                   WHERE key LIKE 'c%' AND key NOT LIKE '%:%' AND used > 0) q
             USING (performance_id, key)
        WHERE b.used IS DISTINCT FROM q.used""",
    "S8 the quotas of ticket types equal the places": """
        SELECT * FROM (
            SELECT performance_id, 't' || t.id AS key, count(*) AS used
            FROM bookings CROSS JOIN unnest(ticket_type_ids) t(id) WHERE state IN (1, 2) GROUP BY 1, 2) b
        FULL JOIN (SELECT performance_id, key, used FROM quotas WHERE key LIKE 't%' AND used > 0) q
             USING (performance_id, key)
        WHERE b.used IS DISTINCT FROM q.used""",
    "W  revisions of kept changes have no gap and end at the inventory's": """
        SELECT i.performance_id FROM inventories i JOIN (
            SELECT performance_id, max(revision) last, min(revision) first, count(*) n FROM seat_changes GROUP BY 1) c
            USING (performance_id)
        WHERE c.last <> i.revision OR c.n <> c.last - c.first + 1""",
    "tickets belong to sold places": """
        SELECT t.id FROM tickets t JOIN bookings b ON b.performance_id = t.performance_id AND b.id = t.booking_id
        WHERE (t.state IN (1, 2)) <> (b.state = 2)""",
    "each place of a confirmed booking has one ticket": """
        SELECT b.id FROM bookings b WHERE b.state = 2 AND cardinality(b.places) <>
            (SELECT count(*) FROM tickets t WHERE t.performance_id = b.performance_id AND t.booking_id = b.id)""",
    "M1 captured money has a confirmed booking or was asked to be given back, all of it": """
        SELECT p.id FROM payments p
        JOIN bookings b ON b.performance_id = p.performance_id AND b.id = p.booking_id
        LEFT JOIN LATERAL (SELECT coalesce(sum(amount), 0) total FROM refunds r
                           WHERE r.performance_id = p.performance_id AND r.payment_id = p.id) r ON true
        WHERE p.state = 4 AND p.amount > 0 AND NOT (b.state = 2 AND b.payment_id = p.id) AND r.total < p.amount""",
    "M1 what a confirmed booking was paid with is not given back, unless staff ask for it": """
        SELECT p.id FROM payments p
        JOIN bookings b ON b.performance_id = p.performance_id AND b.id = p.booking_id
        JOIN refunds r ON r.performance_id = p.performance_id AND r.payment_id = p.id
        WHERE b.state = 2 AND b.payment_id = p.id AND r.actor_id IS NULL""",
    "M1 a booking that is paid for has a payment that succeeded": """
        SELECT b.id FROM bookings b
        LEFT JOIN payments p ON p.performance_id = b.performance_id AND p.id = b.payment_id
        WHERE b.state = 2 AND b.confirmed_by = 1 AND p.state IS DISTINCT FROM 4""",
    "M3 no more is refunded than was captured": """
        SELECT p.id FROM payments p JOIN refunds r ON r.performance_id = p.performance_id AND r.payment_id = p.id
        WHERE r.state <> 4
        GROUP BY p.performance_id, p.id, p.amount HAVING sum(r.amount) > p.amount""",
    "M3 only what succeeded is refunded": """
        SELECT r.id FROM refunds r JOIN payments p ON p.performance_id = r.performance_id AND p.id = r.payment_id
        WHERE p.state <> 4""",
    "M4 a booking was paid with what it costs": """
        SELECT b.id FROM bookings b JOIN payments p ON p.performance_id = b.performance_id AND p.id = b.payment_id
        WHERE b.state = 2 AND (p.booking_id, p.amount, p.currency)
              IS DISTINCT FROM (b.id, (SELECT sum(price) FROM unnest(b.prices) price)::bigint, b.currency)""",
    "S4 a held booking waits for none but a payment whose outcome is open": """
        SELECT b.id FROM bookings b
        LEFT JOIN payments p ON p.performance_id = b.performance_id AND p.id = b.payment_id
        WHERE b.state = 1 AND b.payment_id IS NOT NULL AND (p.state IS NULL OR p.state NOT IN (3, 7))""",
    "M6 a refund that is not done is due, or failed for staff to see": """
        SELECT id FROM refunds WHERE (state IN (1, 2)) <> (next_attempt_time IS NOT NULL)
                                  OR (state = 4 AND error_reason IS NULL)""",
    "M5 a payment whose outcome is open is due": """
        SELECT id FROM payments WHERE state IN (1, 3, 7) AND next_attempt_time IS NULL""",
}

# Holds once everything that is due was worked off.
QUIET: Final = {
    "M1 what the provider took, we know of": """
        SELECT o.payment_id FROM simulator_orders o LEFT JOIN payments p ON p.id = o.payment_id
        WHERE o.state = 2 AND p.state IS DISTINCT FROM 4""",
    "M1 what we believe was paid, the provider took": """
        SELECT p.id FROM payments p LEFT JOIN simulator_orders o ON o.payment_id = p.id
        WHERE p.state = 4 AND p.provider = 1 AND p.amount > 0
          AND (o.state, o.amount, o.currency, o.reference)
              IS DISTINCT FROM (2::smallint, p.amount, p.currency, p.provider_reference)""",
    "M1 what the provider gave back, we know of, and the other way round": """
        SELECT r.id, s.refund_id FROM (
            SELECT r.* FROM refunds r JOIN payments p ON p.performance_id = r.performance_id AND p.id = r.payment_id
            WHERE r.state = 3 AND p.provider = 1) r
        FULL JOIN simulator_refunds s ON s.refund_id = r.id
        WHERE (r.amount, r.payment_id) IS DISTINCT FROM (s.amount, s.payment_id)""",
    "nothing is due any more": """
        SELECT id FROM payments WHERE next_attempt_time IS NOT NULL
        UNION ALL SELECT id FROM refunds WHERE next_attempt_time IS NOT NULL""",
}

_OVERSOLD: Final = """
    SELECT coalesce(sum(claims - 1), 0) FROM (
        SELECT count(*) claims FROM bookings b CROSS JOIN unnest(b.places) p(place)
        WHERE b.state IN (1, 2) GROUP BY b.performance_id, p.place HAVING count(*) > 1) places"""


def faults(session: Session, checks: Mapping[str, str] = ALWAYS) -> list[str]:
    """What is wrong in this snapshot, one line a fault."""
    return [f"{name}: {tuple(row)}" for name, query in checks.items() for row in session.execute(text(query))]


def audit(database: Database, *, quiet: bool = False) -> list[str]:
    """What is wrong in one snapshot of the whole database, one line a fault.

    Args:
        database: is only read.
        quiet: nothing is under way any more, so check also what holds only then.
    """
    checks = ALWAYS | QUIET if quiet else ALWAYS

    def work(session: Session) -> list[str]:
        # One snapshot for all queries, or what is committed between two of them would look like a fault.
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return faults(session, checks)

    return database.run_transaction(work)


def oversold(session: Session) -> int:
    """How many claims there are on places that another booking has, too: more than 0 must never be."""
    return int(session.scalar(text(_OVERSOLD)) or 0)
