"""What must never be wrong with waiting rooms (Q). See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "Q1 no interval admits more than it may": """
        SELECT e.performance_id, e.cycle FROM queue_entries e
        LEFT JOIN admission_cycles c ON c.performance_id = e.performance_id AND c.number = e.cycle
        WHERE e.cycle IS NOT NULL
        GROUP BY e.performance_id, e.cycle, c.admitted, c.admit_limit
        HAVING count(*) IS DISTINCT FROM c.admitted::bigint OR count(*) > c.admit_limit""",
    "Q1 the running interval has left what it did not use": """
        SELECT w.performance_id FROM waiting_rooms w
        JOIN admission_cycles c ON c.performance_id = w.performance_id AND c.number = w.cycle_number
        WHERE w.cycle_left <> c.admit_limit - c.admitted""",
    "Q1 intervals follow each other without overlapping": """
        SELECT * FROM (
            SELECT performance_id, number, begin_time,
                   lag(begin_time) OVER (PARTITION BY performance_id ORDER BY number) AS before
            FROM admission_cycles) c
        WHERE begin_time < before""",
    "Q2 nobody was admitted while somebody who still waits stood in front": """
        SELECT performance_id, id FROM (
            SELECT performance_id, id, state, place, max(place) FILTER (WHERE cycle IS NOT NULL)
                   OVER (PARTITION BY performance_id ORDER BY revision DESC) AS behind
            FROM queue_entries) e
        WHERE state = 1 AND place < behind""",
    "Q2 nobody was admitted later than somebody who stood behind": """
        SELECT performance_id, id FROM (
            SELECT performance_id, id, place, admit_time,
                   max(place) OVER (PARTITION BY performance_id ORDER BY admit_time) AS behind
            FROM queue_entries WHERE cycle IS NOT NULL) e
        WHERE place < behind AND EXISTS (
            SELECT 1 FROM queue_entries a
            WHERE a.performance_id = e.performance_id AND a.place > e.place AND a.admit_time < e.admit_time
              AND a.admit_time > uuid_extract_timestamp(e.id) + interval '1 ms')""",
    "Q3 where there is a waiting room, a hold used an admission of its customer, in time": """
        SELECT b.performance_id, b.id FROM waiting_rooms w
        JOIN bookings b ON b.performance_id = w.performance_id AND b.create_time >= w.enabled_time
        JOIN command_log l ON l.performance_id = b.performance_id AND l.subject_id = b.id AND l.command = 'hold'
        LEFT JOIN users u ON u.id = l.actor_id
        LEFT JOIN queue_entries e ON e.performance_id = b.performance_id AND e.booking_id = b.id
        WHERE w.enabled AND l.actor_id IS NOT NULL AND (u.role IS NULL OR u.role NOT IN (2, 3))
          AND (e.id IS NULL OR e.state <> 3 OR e.customer_id <> b.customer_id
               OR b.create_time NOT BETWEEN e.admit_time AND e.admission_expire_time)""",
    "Q3 what an admission was used for is a booking of its customer": """
        SELECT e.performance_id, e.id FROM queue_entries e
        LEFT JOIN bookings b ON b.performance_id = e.performance_id AND b.id = e.booking_id
        WHERE e.booking_id IS NOT NULL AND b.customer_id IS DISTINCT FROM e.customer_id""",
    "Q4 the counts of a room equal its entries": """
        SELECT w.performance_id FROM waiting_rooms w LEFT JOIN (
            SELECT performance_id, count(*) joined, count(*) FILTER (WHERE state = 1) waiting
            FROM queue_entries GROUP BY performance_id) e USING (performance_id)
        WHERE (w.joined_count, w.waiting_count) IS DISTINCT FROM (coalesce(e.joined, 0), coalesce(e.waiting, 0))""",
    "Q4 a line that somebody waits in, and that is on, will move": """
        SELECT performance_id FROM waiting_rooms
        WHERE enabled AND waiting_count > 0 AND next_admission_time IS NULL
           OR NOT enabled AND next_admission_time IS NOT NULL""",
    "Q4 no entry is ahead of its room": """
        SELECT e.performance_id, e.id FROM queue_entries e JOIN waiting_rooms w USING (performance_id)
        WHERE e.revision > w.revision""",
}

QUIET: Final = {
    "Q4 everybody who was admitted was told": """
        SELECT e.performance_id, e.id FROM queue_entries e
        WHERE e.cycle IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM notifications n WHERE n.performance_id = e.performance_id AND n.kind = 11
              AND n.recipient_id = e.customer_id)""",
}
