"""What must never be wrong with accounts and sessions (RELIABILITY A). See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "A1 of the refresh tokens of a session at most one was not used": """
        SELECT session_id FROM refresh_tokens WHERE use_time IS NULL GROUP BY session_id HAVING count(*) > 1""",
    "A1 each use of a refresh token gave one successor": """
        SELECT session_id FROM refresh_tokens
        GROUP BY session_id HAVING count(*) <> 1 + count(use_time)""",
    "A1 a session that has ended is not refreshed": """
        SELECT s.id FROM sessions s JOIN refresh_tokens t ON t.session_id = s.id
        WHERE t.create_time > s.revoke_time OR t.use_time > s.revoke_time""",
    "A2 who is shut out has no session and no key": """
        SELECT u.id FROM users u WHERE u.disable_time IS NOT NULL AND (
            EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id AND s.revoke_time IS NULL
                                             AND s.expire_time > u.disable_time AND s.create_time < u.disable_time)
            OR EXISTS (SELECT FROM api_keys k WHERE k.user_id = u.id AND k.revoke_time IS NULL
                                                AND k.create_time < u.disable_time))""",
    "A2 a mailed code lives as long as its purpose, and is used while it lives": """
        SELECT user_id, purpose FROM account_codes
        WHERE expire_time - create_time > CASE purpose WHEN 'verify_email' THEN interval '24 hours 1 second'
                                                       ELSE interval '20 minutes 1 second' END
           OR use_time >= expire_time""",
    "A2 somebody can administer, once somebody could": """
        SELECT min(id::text) FROM users WHERE role = 3 HAVING count(*) > 0 AND count(*) = count(disable_time)""",
    "A3 what a booking has is its customer's": """
        SELECT b.performance_id, b.id FROM bookings b JOIN tickets t
          ON t.performance_id = b.performance_id AND t.booking_id = b.id
        WHERE t.customer_id <> b.customer_id
        UNION ALL
        SELECT b.performance_id, b.id FROM bookings b JOIN payments p
          ON p.performance_id = b.performance_id AND p.booking_id = b.id
        WHERE p.customer_id <> b.customer_id""",
    "A3 a booking that late money bought is of the customer who paid": """
        SELECT n.performance_id, n.id FROM bookings n JOIN bookings o
          ON o.performance_id = n.performance_id AND o.id = n.replaces
        WHERE n.customer_id <> o.customer_id""",
}
