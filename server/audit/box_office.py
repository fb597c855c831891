"""What must never be wrong with allocations and tills. See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "S1 a place that is set aside is of a live allocation": """
        SELECT s.performance_id, s.place FROM seats s
        LEFT JOIN allocations a ON a.performance_id = s.performance_id AND a.id = s.allocation_id
        WHERE s.allocation_id IS NOT NULL AND a.state IS DISTINCT FROM 1""",
    "a till counts what was sold at the box office, and refunds that were settled in cash": """
        SELECT e.id FROM till_entries e
        LEFT JOIN bookings b ON b.performance_id = e.performance_id AND b.id = e.booking_id
        LEFT JOIN shifts s ON s.id = e.shift_id
        LEFT JOIN refunds r ON r.performance_id = e.performance_id AND r.settle_method = 1 AND e.kind = 3
          AND coalesce(r.returned_booking_id, r.booking_id) = e.booking_id AND r.amount = e.amount
        WHERE r.id IS NULL AND b.confirmed_by IS DISTINCT FROM CASE e.kind WHEN 2 THEN 3 ELSE 2 END::smallint
           OR (e.currency, e.currency) IS DISTINCT FROM (b.currency, s.currency)""",
    "a till counts a sale once, and gives no more cash back than came in for it": """
        SELECT performance_id, booking_id FROM till_entries GROUP BY performance_id, booking_id
        HAVING count(*) FILTER (WHERE kind < 3) > 1
            OR (bool_or(kind = 1) AND sum(amount) FILTER (WHERE kind = 3) > sum(amount) FILTER (WHERE kind = 1))""",
    "nothing is counted in a shift after its closing": """
        SELECT e.id FROM till_entries e JOIN shifts s ON s.id = e.shift_id WHERE e.time > s.close_time""",
}

QUIET: Final = {
    "what was set aside is on sale when its time has come": """
        SELECT performance_id, id FROM allocations WHERE state = 1 AND release_time <= clock_timestamp()""",
}
