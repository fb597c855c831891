"""What must never be wrong at the doors (S10). See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "S10 a ticket lets in once, until that is undone": """
        SELECT performance_id, ticket_id FROM check_ins WHERE ticket_id IS NOT NULL
        GROUP BY performance_id, ticket_id
        HAVING count(*) FILTER (WHERE outcome = 1) - count(*) FILTER (WHERE outcome = 10) NOT IN (0, 1)""",
    "S10 a ticket is checked in exactly if its last check-in stands": """
        SELECT t.performance_id, t.id FROM tickets t LEFT JOIN (
            SELECT performance_id, ticket_id,
                   count(*) FILTER (WHERE outcome = 1) - count(*) FILTER (WHERE outcome = 10) AS stands
            FROM check_ins WHERE ticket_id IS NOT NULL GROUP BY performance_id, ticket_id) c
          ON c.performance_id = t.performance_id AND c.ticket_id = t.id
        WHERE t.state <> 3 AND (t.state = 2) <> (coalesce(c.stands, 0) = 1)""",
    "S10 a used ticket says when, an unused one does not": """
        SELECT performance_id, id FROM tickets WHERE (state = 2) <> (check_in_time IS NOT NULL) AND state <> 3""",
    "S10 somebody who was let in and should not have been is a conflict": """
        SELECT performance_id, id FROM check_ins WHERE conflict <> (admitted AND outcome <> 1)""",
    "scans are of tickets of their performance": """
        SELECT c.performance_id, c.id FROM check_ins c
        LEFT JOIN tickets t ON t.performance_id = c.performance_id AND t.id = c.ticket_id
        WHERE c.ticket_id IS NOT NULL AND t.booking_id IS DISTINCT FROM c.booking_id""",
}
