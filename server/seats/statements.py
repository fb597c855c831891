"""The SQL of one batch: a fixed number of set-based statements, however many commands it carries.

Each statement names the performance in every join, so that the same text runs where the tables are distributed by
it. Values travel as columns, see ``arrays``.
"""

from typing import Final

LOCK_SEATS: Final = """
SELECT s.performance_id, s.place, s.state, s.booking_id, s.allocation_id
FROM unnest(%s::bigint[], %s::int[]) AS w(performance_id, place)
JOIN seats s ON s.performance_id = w.performance_id AND s.place = w.place
ORDER BY s.performance_id, s.place
FOR NO KEY UPDATE OF s
"""

PLACES_OF_BOOKINGS: Final = """
SELECT b.performance_id, b.places
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN bookings b ON b.performance_id = w.performance_id AND b.id = w.id
"""

LOCK_BOOKINGS: Final = """
SELECT row_to_json(b)
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN bookings b ON b.performance_id = w.performance_id AND b.id = w.id
ORDER BY b.performance_id, b.id
FOR NO KEY UPDATE OF b
"""

LOCK_PAYMENTS: Final = """
SELECT p.performance_id, p.id, p.booking_id, p.state, p.amount, p.currency
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN payments p ON p.performance_id = w.performance_id AND p.id = w.id
ORDER BY p.performance_id, p.id
FOR NO KEY UPDATE OF p
"""

# Read after the locks are held: the time that decides, the limits used, what these requests were answered before, and
# whether the rules in memory are the newest: nobody is refused by old ones.
READ: Final = """
SELECT clock_timestamp(),
       (SELECT json_agg(json_build_array(q.performance_id, q.key, q.used))
        FROM unnest(%s::bigint[], %s::text[]) AS w(performance_id, key)
        JOIN quotas q ON q.performance_id = w.performance_id AND q.key = w.key),
       (SELECT json_agg(json_build_array(l.performance_id, l.actor_id, l.request_id,
                                         encode(l.fingerprint, 'hex'), l.subject_id, l.answer))
        FROM unnest(%s::bigint[], %s::uuid[], %s::text[]) AS w(performance_id, actor_id, request_id)
        JOIN command_log l ON l.performance_id = w.performance_id AND l.actor_id = w.actor_id
                          AND l.request_id = w.request_id),
       (SELECT json_agg(json_build_array(i.performance_id, i.rules_version))
        FROM unnest(%s::bigint[]) AS w(performance_id)
        JOIN inventories i ON i.performance_id = w.performance_id)
"""

# What of their places is set aside is not for anybody else afterwards.
RUN_OUT: Final = """
SELECT b.performance_id, b.id,
       ARRAY(SELECT s.place FROM seats s WHERE s.performance_id = b.performance_id AND s.place = ANY (b.places)
                                           AND s.allocation_id IS NULL)
FROM unnest(%s::bigint[]) AS w(performance_id)
JOIN bookings b ON b.performance_id = w.performance_id
WHERE b.state = 1 AND b.hold_expire_time <= %s AND b.payment_id IS NULL AND b.id <> ALL (%s::uuid[])
ORDER BY b.hold_expire_time
LIMIT 1000
"""

PLACES_OF_ALLOCATIONS: Final = """
SELECT s.performance_id, s.place
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN seats s ON s.performance_id = w.performance_id AND s.allocation_id = w.id
"""

LOCK_ALLOCATIONS: Final = """
SELECT a.performance_id, a.id, a.state, a.release_time, a.version
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN allocations a ON a.performance_id = w.performance_id AND a.id = w.id
ORDER BY a.performance_id, a.id
FOR NO KEY UPDATE OF a
"""

LOCK_ADMISSIONS: Final = """
SELECT e.performance_id, e.id, e.customer_id, e.state, e.admission_expire_time
FROM unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
JOIN queue_entries e ON e.performance_id = w.performance_id AND e.id = w.id
ORDER BY e.performance_id, e.id
FOR NO KEY UPDATE OF e
"""

USE_ADMISSIONS: Final = """
UPDATE queue_entries e SET state = 3, booking_id = w.booking_id, end_time = w.now
FROM (SELECT %s::timestamptz AS now, performance_id, id, booking_id
      FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[]) AS w(performance_id, id, booking_id)) w
WHERE e.performance_id = w.performance_id AND e.id = w.id
"""

SET_SEATS: Final = """
UPDATE seats s SET state = w.state, booking_id = w.booking_id
FROM unnest(%s::bigint[], %s::int[], %s::smallint[], %s::uuid[]) AS w(performance_id, place, state, booking_id)
WHERE s.performance_id = w.performance_id AND s.place = w.place
"""

SET_SEATS_AND_ALLOCATIONS: Final = """
UPDATE seats s SET state = w.state, booking_id = w.booking_id, allocation_id = w.allocation_id
FROM unnest(%s::bigint[], %s::int[], %s::smallint[], %s::uuid[], %s::uuid[])
  AS w(performance_id, place, state, booking_id, allocation_id)
WHERE s.performance_id = w.performance_id AND s.place = w.place
"""

INSERT_ALLOCATIONS: Final = """
INSERT INTO allocations (performance_id, id, owner, note, release_time, creator_id, create_time, update_time)
SELECT performance_id, id, owner, note, release_time, creator_id, b.now, b.now
FROM (SELECT %s::timestamptz AS now) b,
     unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::uuid[])
  AS w(performance_id, id, owner, note, release_time, creator_id)
"""

END_ALLOCATIONS: Final = """
UPDATE allocations a SET state = 2, end_time = b.now, update_time = b.now, version = a.version + 1
FROM (SELECT %s::timestamptz AS now) b, unnest(%s::bigint[], %s::uuid[]) AS w(performance_id, id)
WHERE a.performance_id = w.performance_id AND a.id = w.id
"""

# Counted in the open shift of whoever sold, if they have one in this currency. The shared lock lets no shift be closed
# between this and the commit, so what a closed shift adds up to never changes.
INSERT_TILL_ENTRIES: Final = """
INSERT INTO till_entries (performance_id, id, shift_id, booking_id, kind, tickets, amount, currency, time)
SELECT w.performance_id, w.id, s.id, w.booking_id, w.kind, w.tickets, w.amount, w.currency, b.now
FROM (SELECT %s::timestamptz AS now) b,
     unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::uuid[], %s::smallint[], %s::int[], %s::bigint[], %s::text[])
       AS w(performance_id, id, actor_id, booking_id, kind, tickets, amount, currency)
JOIN (SELECT id, staff_id, currency FROM shifts WHERE staff_id = ANY(%s::uuid[]) AND state = 1
      ORDER BY id FOR SHARE) s ON s.staff_id = w.actor_id AND s.currency = w.currency
"""

# The first parameter is the time of the batch: when the bookings were made, and last changed.
INSERT_BOOKINGS: Final = """
INSERT INTO bookings (performance_id, id, customer_id, state, places, ticket_type_ids, prices, currency,
                      hold_start_time, create_time, update_time, hold_expire_time, payment_id, confirmed_by, note,
                      version, confirm_time, end_time)
SELECT performance_id, id, customer_id, state, places::int[], ticket_type_ids::bigint[], prices::bigint[], currency,
       b.now, b.now, b.now, hold_expire_time, payment_id, confirmed_by, note,
       version, confirm_time, end_time
FROM (SELECT %s::timestamptz AS now) b,
     unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::timestamptz[], %s::uuid[], %s::smallint[], %s::text[], %s::int[],
            %s::timestamptz[], %s::timestamptz[])
  AS w(performance_id, id, customer_id, state, places, ticket_type_ids, prices, currency,
       hold_expire_time, payment_id, confirmed_by, note, version, confirm_time, end_time)
"""

UPDATE_BOOKINGS: Final = """
UPDATE bookings b
SET state = w.state, places = w.places::int[], ticket_type_ids = w.ticket_type_ids::bigint[],
    prices = w.prices::bigint[], currency = w.currency, hold_expire_time = w.hold_expire_time,
    confirmed_by = w.confirmed_by, version = w.version, update_time = w.update_time,
    confirm_time = w.confirm_time, end_time = w.end_time
FROM unnest(%s::bigint[], %s::uuid[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::timestamptz[], %s::smallint[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
  AS w(performance_id, id, state, places, ticket_type_ids, prices, currency,
       hold_expire_time, confirmed_by, version, update_time, confirm_time, end_time)
WHERE b.performance_id = w.performance_id AND b.id = w.id
"""

# Two bookings and their payment: the one that ran out, and the one that its money bought after all.
LINK_BOOKINGS: Final = """
UPDATE bookings b
SET replaces = coalesce(b.replaces, w.replaces), replaced_by = coalesce(b.replaced_by, w.replaced_by)
FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::uuid[]) AS w(performance_id, id, replaces, replaced_by)
WHERE b.performance_id = w.performance_id AND b.id = w.id
"""

SET_BOUGHT_BOOKINGS: Final = """
UPDATE payments p SET bought_booking_id = w.booking_id
FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[]) AS w(performance_id, id, booking_id)
WHERE p.performance_id = w.performance_id AND p.id = w.id
"""

APPEND_LOG: Final = """
INSERT INTO command_log (performance_id, subject_id, version, command, from_state, to_state, actor_id, time,
                         request_id, fingerprint, answer)
SELECT performance_id, subject_id, version, command, from_state, to_state, actor_id, %s,
       request_id, decode(fingerprint, 'hex'), answer::json
FROM unnest(%s::bigint[], %s::uuid[], %s::int[], %s::text[], %s::smallint[], %s::smallint[], %s::uuid[],
            %s::text[], %s::text[], %s::text[])
  AS w(performance_id, subject_id, version, command, from_state, to_state, actor_id,
       request_id, fingerprint, answer)
"""

INSERT_STAFF_ACTIONS: Final = """
INSERT INTO staff_actions (id, action_time, actor_id, role, key_id, method, resources, within, request,
                           request_shortened, request_id)
SELECT id, %s, actor_id, role, key_id, method, resources, within, request, request_shortened, request_id
FROM jsonb_to_recordset(%s::jsonb)
  AS w(id uuid, actor_id uuid, role smallint, key_id uuid, method text, resources text[], within text[],
       request jsonb, request_shortened boolean, request_id text)
"""

LOCK_QUOTAS: Final = """
SELECT 1 FROM unnest(%s::bigint[], %s::text[]) AS w(performance_id, key)
JOIN quotas q ON q.performance_id = w.performance_id AND q.key = w.key
ORDER BY q.performance_id, q.key
FOR NO KEY UPDATE OF q
"""

# Sorted by the caller, so that two batches take these locks in the same order.
TAKE_QUOTAS: Final = """
INSERT INTO quotas AS q (performance_id, key, used, ceiling)
SELECT performance_id, key, places, ceiling
FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::int[]) AS w(performance_id, key, places, ceiling)
ON CONFLICT (performance_id, key) DO UPDATE SET used = q.used + excluded.used, ceiling = excluded.ceiling
"""

GIVE_QUOTAS: Final = """
UPDATE quotas q SET used = q.used + w.places
FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS w(performance_id, key, places)
WHERE q.performance_id = w.performance_id AND q.key = w.key
"""

INSERT_TICKETS: Final = """
INSERT INTO tickets (performance_id, id, booking_id, customer_id, place, ticket_type_id, nonce, state, create_time)
SELECT performance_id, id, booking_id, customer_id, place, ticket_type_id, nonce, 1, %s
FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::bigint[], %s::uuid[])
  AS w(performance_id, id, booking_id, customer_id, place, ticket_type_id, nonce)
"""

# What customers are told of the transitions of this batch. The first parameter is the time of the batch.
INSERT_NOTIFICATIONS: Final = """
INSERT INTO notifications (performance_id, id, kind, state, recipient_id, about, booking_id, data, bulk,
                           next_attempt_time, create_time, update_time)
SELECT performance_id, id, kind, 1, recipient_id, 'performances/' || performance_id || '/bookings/' || booking_id,
       booking_id, CASE WHEN reason = '' THEN '{}'::jsonb ELSE jsonb_build_object('reason', reason) END, bulk,
       b.now, b.now, b.now
FROM (SELECT %s::timestamptz AS now) b,
     unnest(%s::bigint[], %s::uuid[], %s::smallint[], %s::uuid[], %s::uuid[], %s::text[], %s::boolean[])
  AS w(performance_id, id, kind, recipient_id, booking_id, reason, bulk)
ON CONFLICT (performance_id, id) DO NOTHING
"""

# A payment that buys a booking, and its entry in the books: from the provider's account (10 and its number) to sales.
SETTLE_PAYMENTS: Final = """
WITH settled AS (
    UPDATE payments p
    SET state = 4, provider_reference = coalesce(w.reference, p.provider_reference), error_reason = NULL,
        capture_reference = coalesce(w.capture_reference, p.capture_reference), next_attempt_time = NULL,
        discrepancy = NULL, update_time = b.now, complete_time = b.now, compare_after_time = b.now
    FROM (SELECT clock_timestamp() AS now) b,
         unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[])
           AS w(performance_id, id, reference, capture_reference)
    WHERE p.performance_id = w.performance_id AND p.id = w.id
    RETURNING p.performance_id, p.id, p.booking_id, p.provider, p.amount, p.currency
)
INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency)
SELECT performance_id, 1, id, booking_id, ARRAY[10 + provider, 20], ARRAY[amount, -amount], currency
FROM settled WHERE amount > 0
"""

# The last statement before the commit. Its row locks make the order of revisions the order of commits.
BUMP_REVISIONS: Final = """
WITH delta AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::int[], %s::int[], %s::bytea[])
      AS w(performance_id, rules_version, available, held, sold, blocked, body)
), locked AS (
    SELECT i.performance_id FROM inventories i JOIN delta d ON d.performance_id = i.performance_id
    ORDER BY i.performance_id FOR NO KEY UPDATE OF i
), bumped AS (
    UPDATE inventories i
    SET revision = i.revision + CASE WHEN d.body IS NULL THEN 0 ELSE 1 END,
        available = i.available + d.available, held = i.held + d.held,
        sold = i.sold + d.sold, blocked = i.blocked + d.blocked
    FROM delta d JOIN locked l ON l.performance_id = d.performance_id
    WHERE i.performance_id = d.performance_id AND i.rules_version = d.rules_version
    RETURNING i.performance_id, i.revision
), logged AS (
    INSERT INTO seat_changes (performance_id, revision, body)
    SELECT b.performance_id, b.revision, d.body FROM bumped b JOIN delta d ON d.performance_id = b.performance_id
    WHERE d.body IS NOT NULL
)
SELECT performance_id, revision FROM bumped
"""
