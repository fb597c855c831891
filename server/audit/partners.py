"""What must never be wrong with the log of changes, with webhooks, and with quotas. See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "a position is given once": """
        SELECT position FROM changes WHERE position IS NOT NULL GROUP BY position HAVING count(*) > 1""",
    "no position is missing between the oldest change that is kept and the newest": """
        SELECT s.outdated_position, s.position, count(c.position) FROM change_sequence s
        LEFT JOIN changes c ON c.position > s.outdated_position
        GROUP BY s.outdated_position, s.position
        HAVING count(c.position) <> s.position - s.outdated_position""",
    "changes of one thing are in the order in which they happened": """
        SELECT performance_id, id FROM (
            SELECT performance_id, id, position, old_state,
                   lag(new_state) OVER life AS before, lag(id) OVER life AS earlier
            FROM changes WHERE position IS NOT NULL
            WINDOW life AS (PARTITION BY performance_id, kind, data->>'id' ORDER BY position)) c
        WHERE earlier IS NOT NULL AND (earlier > id OR before IS DISTINCT FROM old_state)""",
    "the log knows no secrets": """
        SELECT performance_id, id FROM changes
        WHERE data ?| array['client_secret', 'approval_uri', 'nonce', 'return_uri', 'cancel_uri', 'discrepancy']""",
    "the newest change of a booking says the state that it has": """
        SELECT b.performance_id, b.id FROM bookings b JOIN LATERAL (
            SELECT c.new_state FROM changes c
            WHERE c.performance_id = b.performance_id AND c.kind = 1 AND c.data->>'id' = b.id::text
            ORDER BY c.id DESC LIMIT 1) newest ON newest.new_state <> b.state
        WHERE b.update_time > now() - interval '1 day'""",
    "a lane that is not done with is due, unless its endpoint is off": """
        SELECT l.performance_id, l.endpoint_id FROM webhook_lanes l JOIN webhook_endpoints e ON e.id = l.endpoint_id
        WHERE e.disable_time IS NULL AND l.target > l.cursor AND l.next_attempt_time IS NULL""",
    "what is switched off sends nothing": """
        SELECT l.performance_id, l.endpoint_id FROM webhook_lanes l JOIN webhook_endpoints e ON e.id = l.endpoint_id
        WHERE e.disable_time IS NOT NULL AND l.next_attempt_time IS NOT NULL""",
    "what an API key has used up is what its requests were charged": """
        SELECT u.key_id, u.quota, u.day FROM key_uses u
        WHERE u.used <> (SELECT coalesce(sum(c.amount), 0) FROM key_charges c
                         WHERE c.key_id = u.key_id AND c.quota = u.quota AND c.day = u.day)
          AND u.day > (now() AT TIME ZONE 'UTC')::date - 5""",
}

QUIET: Final[dict[str, str]] = {}
