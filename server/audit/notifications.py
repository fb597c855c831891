"""What must never be wrong with what people are told. See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "a booking that was paid for is told, with its tickets": """
        SELECT b.id FROM bookings b WHERE b.confirm_time IS NOT NULL AND b.confirmed_by = 1 AND NOT EXISTS (
            SELECT FROM notifications n
            WHERE n.performance_id = b.performance_id AND n.booking_id = b.id AND n.kind = 4)""",
    "a hold that ran out is told": """
        SELECT b.id FROM bookings b WHERE b.state = 4 AND cardinality(b.places) > 0 AND NOT EXISTS (
            SELECT FROM notifications n
            WHERE n.performance_id = b.performance_id AND n.booking_id = b.id AND n.kind = 6)""",
    "the end of a confirmed booking is told": """
        SELECT b.id FROM bookings b WHERE b.state = 3 AND b.confirm_time IS NOT NULL AND NOT EXISTS (
            SELECT FROM notifications n
            WHERE n.performance_id = b.performance_id AND n.booking_id = b.id AND n.kind IN (5, 9))""",
    "the end of a booking is told once": """
        SELECT booking_id, count(*) FROM notifications WHERE kind IN (5, 6, 9)
        GROUP BY performance_id, booking_id HAVING count(*) > 1""",
    "A3 what is told of a booking is told to its customer": """
        SELECT n.id FROM notifications n
        JOIN bookings b ON b.performance_id = n.performance_id AND b.id = n.booking_id
        WHERE n.recipient_id IS DISTINCT FROM b.customer_id""",
    "a mail that failed says why, one that was sent says what": """
        SELECT id FROM notifications
        WHERE (state = 3 AND error_reason IS NULL) OR (state = 2 AND (subject IS NULL OR body IS NULL))""",
    "only a mail that waits, or of which nobody knows, is marked as handed over": """
        SELECT id FROM notifications WHERE handover_time IS NOT NULL AND state NOT IN (1, 3)""",
    "an announcement has its words": """
        SELECT n.id FROM notifications n LEFT JOIN announcements a
            ON a.performance_id = n.performance_id AND a.id = (n.data ->> 'announcement')::uuid
        WHERE n.kind = 1 AND a.id IS NULL""",
}
