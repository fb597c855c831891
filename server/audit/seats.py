"""What must never be wrong with seats, bookings and the change log (RELIABILITY S, W). See ``server.audit``."""

from typing import Final

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
              ((1, 1), (1, 2), (1, 3), (1, 4), (2, 3)) AND NOT (from_state IS NULL AND to_state = 1)
          AND NOT (command = 'return' AND from_state = 2 AND to_state = 2)
          AND NOT (command = 'take_back' AND from_state = 4 AND to_state = 4)
          AND NOT (command = 'confirm' AND from_state IS NULL AND to_state = 2 AND EXISTS (
              SELECT FROM bookings b WHERE b.performance_id = command_log.performance_id AND b.id = subject_id
                                       AND b.replaces IS NOT NULL))""",
    "S6 a booking that was replaced ran out, and its successor is the same to the same customer": """
        SELECT o.id, n.id FROM bookings o
        FULL JOIN bookings n ON n.performance_id = o.performance_id AND n.id = o.replaced_by
        WHERE (o.replaced_by IS NOT NULL OR n.replaces IS NOT NULL)
          AND (o.state IS DISTINCT FROM 4 OR n.state NOT IN (2, 3)
               OR (n.replaces, n.customer_id, n.currency) IS DISTINCT FROM (o.id, o.customer_id, o.currency)
               -- single tickets may have been returned since
               OR NOT (n.places <@ o.places AND n.ticket_type_ids <@ o.ticket_type_ids AND n.prices <@ o.prices))""",
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
        WHERE (t.state IN (1, 2)) <> (b.state = 2 AND t.place = ANY (b.places))""",
    "each place of a confirmed booking has one ticket": """
        SELECT b.id FROM bookings b WHERE b.state = 2 AND cardinality(b.places) <>
            (SELECT count(*) FROM tickets t WHERE t.performance_id = b.performance_id AND t.booking_id = b.id
                                              AND t.state <> 3)""",
}
