"""The SQL of ``money``: set-based, and naming the performance in every join, like that of ``statements``."""

from typing import Final

# Before anything is decided about what a ticket is good for: whoever lets somebody in by it changes the same row.
LOCK_TICKETS: Final = """
SELECT t.performance_id, t.place, t.state
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, booking_id)
JOIN tickets t ON t.performance_id = w.performance_id AND t.booking_id = w.booking_id
WHERE t.state <> 3
ORDER BY t.performance_id, t.id
FOR NO KEY UPDATE OF t
"""

VOID_TICKETS: Final = """
UPDATE tickets t SET state = 3
FROM unnest(%s::bigint[], %s::uuid[], %s::int[]) AS w(performance_id, booking_id, place)
WHERE t.performance_id = w.performance_id AND t.booking_id = w.booking_id AND t.place = w.place AND t.state <> 3
"""

# A statement of its own, so that the next one sees every refund that was asked for under the same lock.
LOCK_PAID: Final = """
SELECT 1 FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN payments p ON p.performance_id = w.performance_id AND p.id = w.id
ORDER BY p.performance_id, p.id
FOR NO KEY UPDATE OF p
"""

# What was paid for what is given up, and was not given back before, goes back: asked for in the same transaction, so
# that captured money always has a confirmed booking or a refund (M1), and entered in the books as owed. Several returns
# of one booking in one batch share what is left of its payment in their order; an amount of NULL asks for all of it.
REQUEST_REFUNDS: Final = """
WITH wanted AS (
    SELECT p.performance_id, p.id AS payment_id, p.booking_id, p.provider, p.currency, w.refund_id, w.reason,
           w.actor_id, w.returned, w.tickets, w.n, coalesce(w.amount, p.amount) AS amount,
           p.amount - (SELECT coalesce(sum(r.amount), 0) FROM refunds r
                       WHERE r.performance_id = p.performance_id AND r.payment_id = p.id) AS rest
    FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::bigint[], %s::text[], %s::uuid[], %s::uuid[], %s::text[])
      WITH ORDINALITY AS w(performance_id, payment_id, refund_id, amount, reason, actor_id, returned, tickets, n)
    JOIN payments p ON p.performance_id = w.performance_id AND p.id = w.payment_id
    WHERE p.state = 4
), shared AS (
    SELECT *, least(amount, rest - coalesce(sum(amount) OVER earlier, 0))::bigint AS due FROM wanted
    WINDOW earlier AS (PARTITION BY performance_id, payment_id ORDER BY n
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), asked AS (
    INSERT INTO refunds (performance_id, id, booking_id, payment_id, provider, provider_key, returned_booking_id,
                         ticket_ids, state, amount, currency, reason, actor_id, next_attempt_time)
    SELECT performance_id, refund_id, booking_id, payment_id, provider, refund_id, returned,
           tickets::uuid[], 1, due, currency, reason, actor_id, clock_timestamp()
    FROM shared WHERE due > 0
    RETURNING performance_id, id, booking_id, amount, currency, actor_id
)
INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency, actor_id)
SELECT performance_id, 2, id, booking_id, '{20,31}', ARRAY[amount, -amount], currency, actor_id FROM asked
"""

INSERT_ENTRIES: Final = """
INSERT INTO book_entries (performance_id, kind, source_id, number, booking_id, accounts, amounts, currency, actor_id)
SELECT performance_id, kind, booking_id, number, booking_id, ARRAY[debit, credit], ARRAY[amount, -amount],
       currency, actor_id
FROM unnest(%s::bigint[], %s::smallint[], %s::uuid[], %s::int[], %s::smallint[], %s::smallint[], %s::bigint[],
            %s::text[], %s::uuid[])
  AS w(performance_id, kind, booking_id, number, debit, credit, amount, currency, actor_id)
"""
