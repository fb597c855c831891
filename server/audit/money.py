"""What must never be wrong with payments and refunds (M). See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "M1 captured money has a confirmed booking or was asked to be given back, as far as places were": """
        SELECT p.id FROM payments p
        LEFT JOIN bookings b ON b.performance_id = p.performance_id AND b.state = 2 AND b.payment_id = p.id
                            AND b.id = coalesce(p.bought_booking_id, p.booking_id)
        LEFT JOIN LATERAL (SELECT sum(amount) total FROM refunds r
                           WHERE r.performance_id = p.performance_id AND r.payment_id = p.id) r ON true
        WHERE p.state = 4 AND p.amount > 0
          AND coalesce(r.total, 0) + coalesce((SELECT sum(price) FROM unnest(b.prices) price), 0) < p.amount""",
    "M1 what a confirmed booking was paid with is not given back, unless somebody asks for it": """
        SELECT p.id FROM payments p
        JOIN bookings b ON b.performance_id = p.performance_id AND b.id = coalesce(p.bought_booking_id, p.booking_id)
        JOIN refunds r ON r.performance_id = p.performance_id AND r.payment_id = p.id
        WHERE b.state = 2 AND b.payment_id = p.id AND r.actor_id IS NULL""",
    "M1 a ticket that has let somebody in was not taken back": """
        SELECT performance_id, id FROM tickets WHERE state = 3 AND check_in_time IS NOT NULL""",
    "M1 a ticket for which money was asked back is void": """
        SELECT r.id, w.id FROM refunds r CROSS JOIN unnest(r.ticket_ids) w(id)
        LEFT JOIN tickets t ON t.performance_id = r.performance_id AND t.id = w.id
        WHERE t.state IS DISTINCT FROM 3""",
    "M1 a booking that is paid for has a payment that succeeded": """
        SELECT b.id FROM bookings b
        LEFT JOIN payments p ON p.performance_id = b.performance_id AND p.id = b.payment_id
        WHERE b.state = 2 AND b.confirmed_by = 1 AND p.state IS DISTINCT FROM 4""",
    "M3 no more is refunded than was captured": """
        SELECT p.id FROM payments p JOIN refunds r ON r.performance_id = p.performance_id AND r.payment_id = p.id
        GROUP BY p.performance_id, p.id, p.amount HAVING sum(r.amount) > p.amount""",
    "M3 only what succeeded is refunded": """
        SELECT r.id FROM refunds r JOIN payments p ON p.performance_id = r.performance_id AND p.id = r.payment_id
        WHERE p.state <> 4""",
    "M4 a booking was paid with what it cost": """
        SELECT b.id FROM bookings b JOIN payments p ON p.performance_id = b.performance_id AND p.id = b.payment_id
        JOIN command_log l ON l.performance_id = b.performance_id AND l.subject_id = b.id AND l.command = 'confirm'
        WHERE b.confirm_time IS NOT NULL AND (coalesce(p.bought_booking_id, p.booking_id), p.currency, p.amount)
              IS DISTINCT FROM (b.id, b.currency, (
                  SELECT sum(price::bigint) FROM json_array_elements_text(l.answer -> 'prices') price)::bigint)""",
    "S4 a held booking waits for none but a payment whose outcome is open": """
        SELECT b.id FROM bookings b
        LEFT JOIN payments p ON p.performance_id = b.performance_id AND p.id = b.payment_id
        WHERE b.state = 1 AND b.payment_id IS NOT NULL AND (p.state IS NULL OR p.state NOT IN (3, 7))""",
    "M6 a refund that is not done is due, or failed for staff to see": """
        SELECT id FROM refunds WHERE (state IN (1, 2)) <> (next_attempt_time IS NOT NULL)
                                  OR (state = 4 AND error_reason IS NULL)""",
    "M6 a refund that the house settled says who did, and is done; whose provider made it as well, too": """
        SELECT id FROM refunds WHERE (settle_method IS NULL) <> (settler_id IS NULL)
                                  OR (settle_method IS NULL) <> (settle_time IS NULL)
                                  OR (settle_method IS NOT NULL OR discrepancy IS NOT NULL) AND state <> 3""",
    "M1 money of which it is in doubt whose it is buys nothing and does not go back": """
        SELECT p.id FROM payments p
        LEFT JOIN refunds r ON r.performance_id = p.performance_id AND r.payment_id = p.id
        LEFT JOIN bookings b ON b.performance_id = p.performance_id AND b.payment_id = p.id
        WHERE p.discrepancy IS NOT NULL AND p.state <> 4 AND (r.id IS NOT NULL OR b.id IS NOT NULL)""",
    "M5 a payment whose outcome is open is due, or waits for staff to say whose money was taken": """
        SELECT id FROM payments WHERE next_attempt_time IS NULL AND (state <> 7 OR discrepancy IS NULL)
           AND (state IN (1, 3, 7) OR state = 2 AND (approval_uri IS NOT NULL OR client_secret IS NOT NULL))""",
    "M1 late money bought one booking, that of its customer which replaces the one it was for": """
        SELECT p.id FROM payments p
        LEFT JOIN bookings b ON b.performance_id = p.performance_id AND b.id = p.bought_booking_id
        WHERE p.bought_booking_id IS NOT NULL
          AND (p.state, b.payment_id, b.replaces, b.customer_id)
              IS DISTINCT FROM (4::smallint, p.id, p.booking_id, p.customer_id)""",
}

QUIET: Final = {
    "M1 what the provider took, we know of": """
        SELECT o.payment_id FROM simulator_orders o LEFT JOIN payments p ON p.id = o.payment_id
        WHERE o.state = 2 AND p.state IS DISTINCT FROM 4 AND p.discrepancy IS NULL AND p.resolution IS NULL""",
    "M1 what we believe was paid, the provider took": """
        SELECT p.id FROM payments p LEFT JOIN simulator_orders o ON o.payment_id = p.id
        WHERE p.state = 4 AND p.provider = 1 AND p.amount > 0
          AND (o.state, o.amount, o.currency, o.reference)
              IS DISTINCT FROM (2::smallint, p.amount, p.currency, p.provider_reference)""",
    "M1 what the provider gave back, we know of, and the other way round": """
        SELECT r.id, s.refund_id FROM (
            SELECT r.* FROM refunds r JOIN payments p ON p.performance_id = r.performance_id AND p.id = r.payment_id
            WHERE r.state = 3 AND p.provider = 1 AND (r.settle_method IS NULL OR r.provider_reference IS NOT NULL)) r
        FULL JOIN simulator_refunds s ON s.refund_id = r.provider_key
        WHERE (r.amount, r.payment_id) IS DISTINCT FROM (s.amount, s.payment_id)""",
    "nothing is due any more": """
        SELECT id FROM payments WHERE next_attempt_time IS NOT NULL
        UNION ALL SELECT id FROM refunds WHERE next_attempt_time IS NOT NULL""",
}
