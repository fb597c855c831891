"""What must never be wrong with the books (M2): see ``server.domain.books`` for what is entered when.

That the legs of an entry sum to zero and that no entry is ever changed is enforced by the database; it is looked at
here all the same, and beside it what no constraint can say: each movement has its entry, of its amount, and there is
no entry without a movement.
"""

from typing import Final

ALWAYS: Final = {
    "M2 the legs of each entry sum to zero": """
        SELECT performance_id, kind, source_id, number FROM book_legs
        GROUP BY performance_id, kind, source_id, number, currency HAVING sum(amount) <> 0 OR count(*) < 2""",
    "M2 all accounts together hold nothing, in each currency": """
        SELECT currency, sum(amount) FROM book_legs GROUP BY currency HAVING sum(amount) <> 0""",
    "M2 each payment that succeeded has its entry, and no other one has": """
        SELECT coalesce(p.id, e.source_id) FROM (SELECT * FROM payments WHERE state = 4 AND amount > 0) p
        FULL JOIN (SELECT * FROM book_entries WHERE kind = 1) e
          ON e.performance_id = p.performance_id AND e.source_id = p.id
        WHERE (p.booking_id, p.currency, p.amount, 10 + p.provider)
              IS DISTINCT FROM (e.booking_id, e.currency, e.amounts[1], e.accounts[1]::int)
           OR e.accounts[2] NOT IN (20, 30) OR cardinality(e.accounts) <> 2 OR e.number <> 0""",
    "M2 what a payment bought decides where its money went": """
        SELECT p.id FROM payments p JOIN book_entries e
          ON e.performance_id = p.performance_id AND e.kind = 1 AND e.source_id = p.id AND e.number = 0
        LEFT JOIN bookings b
          ON b.performance_id = p.performance_id AND b.id = coalesce(p.bought_booking_id, p.booking_id)
        WHERE (e.accounts[2] = 20) <> (b.payment_id IS NOT DISTINCT FROM p.id AND b.confirm_time IS NOT NULL)""",
    "M2 each refund has its entry as something owed, and no other one has": """
        SELECT coalesce(r.id, e.source_id) FROM refunds r
        FULL JOIN (SELECT * FROM book_entries WHERE kind = 2) e
          ON e.performance_id = r.performance_id AND e.source_id = r.id
        LEFT JOIN book_entries p ON p.performance_id = r.performance_id AND p.kind = 1 AND p.source_id = r.payment_id
        WHERE (r.booking_id, r.currency, r.amount, 31, p.accounts[2])
              IS DISTINCT FROM (e.booking_id, e.currency, e.amounts[1], e.accounts[2]::int, e.accounts[1])
           OR cardinality(e.accounts) <> 2 OR e.number <> 0""",
    "M2 each refund that was done by its provider, and not taken back, has its entry, and no other one has": """
        SELECT coalesce(r.id, e.source_id) FROM (SELECT * FROM refunds WHERE state = 3 AND settle_method IS NULL) r
        FULL JOIN (SELECT performance_id, source_id, currency, sum(amount) AS amount FROM book_legs
                   WHERE kind IN (3, 8) AND account = 31
                   GROUP BY performance_id, source_id, currency HAVING sum(amount) <> 0) e
          ON e.performance_id = r.performance_id AND e.source_id = r.id
        WHERE (r.currency, r.amount) IS DISTINCT FROM (e.currency, e.amount::bigint)""",
    "M2 what a provider gave back, and what it took back of that, is entered at that provider, all of it": """
        SELECT e.source_id FROM book_entries e
        LEFT JOIN refunds r ON r.performance_id = e.performance_id AND r.id = e.source_id
        WHERE e.kind IN (3, 8)
          AND ((e.booking_id, e.currency, e.amounts[1], e.accounts[CASE e.kind WHEN 3 THEN 2 ELSE 1 END]::int)
               IS DISTINCT FROM (r.booking_id, r.currency, r.amount, 10 + r.provider)
            OR e.accounts[CASE e.kind WHEN 3 THEN 1 ELSE 2 END] NOT IN (31, 33) OR cardinality(e.accounts) <> 2)""",
    "M2 each refund that a provider took back says so as often as the books do": """
        SELECT coalesce(r.id, e.source_id)
        FROM (SELECT performance_id, id, cardinality(taken_back) AS times FROM refunds WHERE taken_back <> '{}') r
        FULL JOIN (SELECT performance_id, source_id, count(*) AS times FROM book_entries WHERE kind = 8
                   GROUP BY performance_id, source_id) e
          ON e.performance_id = r.performance_id AND e.source_id = r.id
        WHERE r.times IS DISTINCT FROM e.times""",
    "M2 each refund that the house settled in another way has its entry, and no other one has": """
        SELECT coalesce(r.id, e.source_id) FROM (SELECT * FROM refunds WHERE settle_method IS NOT NULL) r
        FULL JOIN (SELECT * FROM book_entries WHERE kind = 7 AND number = 0) e
          ON e.performance_id = r.performance_id AND e.source_id = r.id
        WHERE (r.booking_id, r.currency, r.amount, 31, 39 + r.settle_method, r.settler_id)
              IS DISTINCT FROM (e.booking_id, e.currency, e.amounts[1], e.accounts[1]::int, e.accounts[2]::int,
                                e.actor_id)
           OR cardinality(e.accounts) <> 2""",
    "M2 what customers have twice is what providers gave back once more, until that is sorted out": """
        SELECT coalesce(r.id, e.source_id) FROM (SELECT * FROM refunds WHERE discrepancy IS NOT NULL) r
        FULL JOIN (SELECT performance_id, source_id, currency, sum(amount) AS amount FROM book_legs
                   WHERE account = 33 GROUP BY performance_id, source_id, currency HAVING sum(amount) <> 0) e
          ON e.performance_id = r.performance_id AND e.source_id = r.id
        WHERE (r.currency, r.amount) IS DISTINCT FROM (e.currency, e.amount::bigint)""",
    "M2 what is owed is what was asked back and is not done": """
        SELECT currency, sum(due) FROM (
            SELECT currency, amount AS due FROM book_legs WHERE account = 31
            UNION ALL SELECT currency, amount FROM refunds WHERE state <> 3) dues
        GROUP BY currency HAVING sum(due) <> 0""",
    "M2 customers' money that bought nothing is asked back at once": """
        SELECT performance_id, currency, sum(amount) FROM book_legs WHERE account = 30
        GROUP BY performance_id, currency HAVING sum(amount) <> 0""",
    "M2 each sale at the box office has its entry, and no other one has": """
        SELECT coalesce(b.id, e.source_id) FROM (
            SELECT b.performance_id, b.id, b.confirmed_by, b.currency, (
                SELECT sum(price::bigint) FROM json_array_elements_text(l.answer -> 'prices') price)::bigint AS total
            FROM bookings b JOIN command_log l
              ON l.performance_id = b.performance_id AND l.subject_id = b.id AND l.command = 'confirm'
            WHERE b.confirmed_by IN (2, 3)) b
        FULL JOIN (SELECT * FROM book_entries WHERE kind = 4) e
          ON e.performance_id = b.performance_id AND e.source_id = b.id
        WHERE coalesce(b.total, 1) > 0
          AND (b.currency, b.total, CASE b.confirmed_by WHEN 2 THEN 40 ELSE 50 END, 20)
              IS DISTINCT FROM (e.currency, e.amounts[1], e.accounts[1]::int, e.accounts[2]::int)""",
    "M2 what the box office sold and took back is what is sold": """
        SELECT b.performance_id, b.id FROM bookings b
        LEFT JOIN LATERAL (SELECT sum(l.amount) AS entered FROM book_legs l
                           WHERE l.performance_id = b.performance_id AND l.kind IN (4, 5) AND l.source_id = b.id
                             AND l.account = 20) e ON true
        WHERE b.confirmed_by IN (2, 3)
          AND coalesce(-e.entered, 0) <> CASE b.state WHEN 2 THEN (SELECT sum(price) FROM unnest(b.prices) price)
                                                      ELSE 0 END""",
    "M2 nobody fetches more cash than is owed": """
        SELECT performance_id, source_id, sum(amount) FROM book_legs WHERE account = 32
        GROUP BY performance_id, source_id HAVING sum(amount) > 0""",
}
