"""What must never be wrong with payments and refunds (M). See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
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
