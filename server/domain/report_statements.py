"""The SQL of reports: for each question one statement, which reads every table at most once for each performance.

A statement is put together of steps. ``wanted`` are the performances that are asked for. ``facts`` is what happened in
them, a row for each booking and each movement of money: counts, amounts, and when. ``sums`` adds the facts up by what
the report's rows are, under a key (``at``, ``a``, ``b``, currency) that orders them. Nothing of a caller's is ever part
of the text.

Money is taken from the books (``server.domain.books``): it is what moved, when it moved, and it stays what it was when
a booking changes. Numbers are those of ``server.states``: accounts 20 sales, 40 cash, 50 comps; kinds of entries 1 and
4 in, 2 and 5 back; states of bookings 1 held, 2 confirmed; bookings confirmed by 3 were given for nothing.
"""

from types import MappingProxyType
from typing import Final

from server.states import ReportGrouping, TopMetric

_WANTED: Final = """
WITH wanted AS (
    SELECT p.id, p.event_id, p.start_time, p.time_zone FROM performances p
    WHERE (CAST(:event_id AS bigint) IS NULL OR p.event_id = :event_id)
      AND (CAST(:performance_id AS bigint) IS NULL OR p.id = :performance_id)
      AND (CAST(:start_from AS timestamptz) IS NULL OR p.start_time >= :start_from)
      AND (CAST(:start_before AS timestamptz) IS NULL OR p.start_time < :start_before)
), living AS (
    SELECT b.*, CASE b.state WHEN 2 THEN b.confirm_time ELSE b.hold_start_time END AS time
    FROM wanted w JOIN bookings b ON b.performance_id = w.id
    -- A hold that has run out is free, whether or not it was swept up yet.
    WHERE b.state = 2 OR (b.state = 1 AND (b.payment_id IS NOT NULL OR b.hold_expire_time > statement_timestamp()))
), gained AS (
    SELECT e.performance_id, e.booking_id, e.currency, e.time, e.kind, e.accounts,
           -e.amounts[array_position(e.accounts, CAST(20 AS smallint))] AS amount
    FROM wanted w JOIN book_entries e ON e.performance_id = w.id
    WHERE e.kind IN (1, 2, 4, 5) AND e.accounts @> '{20}' AND NOT e.accounts @> '{50}'
), moved AS (
    SELECT performance_id, booking_id, currency, time, CASE WHEN kind IN (1, 4) THEN amount ELSE 0 END AS revenue,
           CASE WHEN kind IN (2, 5) THEN -amount ELSE 0 END AS refunds, CASE kind WHEN 4 THEN amount ELSE 0 END AS cash
    FROM gained
)"""

_WHOLE: Final = """
, facts AS (
    SELECT performance_id, 0 AS ticket_type_id, currency, time,
           CASE state WHEN 1 THEN cardinality(places) ELSE 0 END AS held,
           CASE state WHEN 2 THEN cardinality(places) ELSE 0 END AS sold,
           CASE WHEN state = 2 AND confirmed_by = 3 THEN cardinality(places) ELSE 0 END AS complimentary,
           (state = 2)::int AS bookings, (state = 2)::int AS bookings_once, 0 AS revenue, 0 AS refunds, 0 AS cash
    FROM living
    UNION ALL
    SELECT performance_id, 0, currency, time, 0, 0, 0, 0, 0, revenue, refunds, cash FROM moved"""

# What is offered has its row even if nobody wanted it.
_OFFERED: Final = """
    UNION ALL
    SELECT DISTINCT t.performance_id, 0, t.currency, CAST(NULL AS timestamptz), 0, 0, 0, 0, 0, 0, 0, 0
    FROM wanted w JOIN ticket_types t ON t.performance_id = w.id"""

# A booking was bought as its confirmation says, whatever was returned since. Late money bought the booking that
# replaces the one it was paid for. What came in is shared out by what each type cost; what went back by what was
# returned of each type, or, where nothing was, by what each type cost: cumulatively, so that no minor unit is lost.
_BY_TYPE: Final = """
, counted AS (
    SELECT b.performance_id, t.ticket_type_id, b.currency, b.time, b.state, b.confirmed_by, t.places,
           t.ticket_type_id = min(t.ticket_type_id) OVER (PARTITION BY b.performance_id, b.id) AS is_first
    FROM living b CROSS JOIN LATERAL (
        SELECT ticket_type_id, count(*) AS places FROM unnest(b.ticket_type_ids) ticket_type_id GROUP BY 1) t
), moved_by_booking AS (
    SELECT m.performance_id, coalesce(o.replaced_by, m.booking_id) AS booking_id, m.currency,
           sum(m.revenue) AS revenue, sum(m.refunds) AS refunds, sum(m.cash) AS cash
    FROM moved m JOIN bookings o ON o.performance_id = m.performance_id AND o.id = m.booking_id
    GROUP BY 1, 2, 3
), bought AS (
    SELECT m.*, t.ticket_type_id, t.cost, t.returned
    FROM moved_by_booking m
    JOIN bookings b ON b.performance_id = m.performance_id AND b.id = m.booking_id
    JOIN command_log l ON l.performance_id = m.performance_id AND l.subject_id = m.booking_id
                      AND l.to_state = 2 AND l.from_state IS DISTINCT FROM 2
    CROSS JOIN LATERAL (
        SELECT ticket_type_id::bigint, sum(price::bigint) AS cost,
               coalesce(sum(price::bigint) FILTER (WHERE b.state <> 2 OR place::int <> ALL (b.places)), 0) AS returned
        FROM ROWS FROM (json_array_elements_text(l.answer -> 'places'),
                        json_array_elements_text(l.answer -> 'ticket_type_ids'),
                        json_array_elements_text(l.answer -> 'prices')) AS x(place, ticket_type_id, price)
        GROUP BY 1) t
), weighed AS (
    SELECT *, CASE WHEN sum(returned) OVER booking > 0 THEN returned ELSE cost END AS weight
    FROM bought WINDOW booking AS (PARTITION BY performance_id, booking_id)
), placed AS (
    SELECT *, sum(cost) OVER upto AS cost_upto, sum(weight) OVER upto AS weight_upto,
           nullif(sum(cost) OVER booking, 0) AS cost_all, nullif(sum(weight) OVER booking, 0) AS weight_all
    FROM weighed
    WINDOW booking AS (PARTITION BY performance_id, booking_id), upto AS (booking ORDER BY ticket_type_id)
), facts AS (
    SELECT performance_id, ticket_type_id, currency, time,
           CASE state WHEN 1 THEN places ELSE 0 END AS held,
           CASE state WHEN 2 THEN places ELSE 0 END AS sold,
           CASE WHEN state = 2 AND confirmed_by = 3 THEN places ELSE 0 END AS complimentary,
           (state = 2)::int AS bookings, (state = 2 AND is_first)::int AS bookings_once,
           0 AS revenue, 0 AS refunds, 0 AS cash
    FROM counted
    UNION ALL
    SELECT performance_id, ticket_type_id, currency, CAST(NULL AS timestamptz), 0, 0, 0, 0, 0,
           floor(revenue * cost_upto / cost_all) - floor(revenue * (cost_upto - cost) / cost_all),
           floor(refunds * weight_upto / weight_all) - floor(refunds * (weight_upto - weight) / weight_all),
           floor(cash * cost_upto / cost_all) - floor(cash * (cost_upto - cost) / cost_all)
    FROM placed WHERE cost_all IS NOT NULL
    UNION ALL
    SELECT t.performance_id, t.id, t.currency, CAST(NULL AS timestamptz), 0, 0, 0, 0, 0, 0, 0, 0
    FROM wanted w JOIN ticket_types t ON t.performance_id = w.id"""

_ADDED: Final = """sum(f.held)::bigint AS held, sum(f.sold)::bigint AS sold,
           sum(f.complimentary)::bigint AS complimentary, sum(f.bookings)::bigint AS bookings,
           sum(f.bookings_once)::bigint AS bookings_once, sum(f.revenue)::bigint AS revenue,
           sum(f.refunds)::bigint AS refunds, sum(f.cash)::bigint AS cash"""

_BY_EVENT_SUMS: Final = """
), by_performance AS (
    SELECT f.performance_id, f.currency, {added} FROM facts f GROUP BY 1, 2
), sums AS (
    SELECT min(w.start_time) AS at, w.event_id AS a, CAST(0 AS bigint) AS b, f.currency, w.event_id,
           CAST(NULL AS bigint) AS performance_id, CAST(NULL AS bigint) AS ticket_type_id, CAST(NULL AS date) AS day,
           coalesce(sum(i.total), 0)::bigint AS capacity, {added}
    FROM by_performance f JOIN wanted w ON w.id = f.performance_id
    LEFT JOIN inventories i ON i.performance_id = f.performance_id
    GROUP BY w.event_id, f.currency
)""".replace("{added}", _ADDED)

_BY_PERFORMANCE_SUMS: Final = """
), sums AS (
    SELECT w.start_time AS at, w.id AS a, CAST(0 AS bigint) AS b, f.currency, w.event_id, w.id AS performance_id,
           CAST(NULL AS bigint) AS ticket_type_id, CAST(NULL AS date) AS day,
           coalesce(min(i.total), 0)::bigint AS capacity, {added}
    FROM facts f JOIN wanted w ON w.id = f.performance_id
    LEFT JOIN inventories i ON i.performance_id = f.performance_id
    GROUP BY w.id, w.event_id, w.start_time, f.currency
)""".replace("{added}", _ADDED)

_BY_TYPE_SUMS: Final = """
), sums AS (
    SELECT w.start_time AS at, w.id AS a, f.ticket_type_id AS b, f.currency, w.event_id, w.id AS performance_id,
           f.ticket_type_id, CAST(NULL AS date) AS day, CAST(0 AS bigint) AS capacity, {added}
    FROM facts f JOIN wanted w ON w.id = f.performance_id
    GROUP BY w.id, w.event_id, w.start_time, f.ticket_type_id, f.currency
)""".replace("{added}", _ADDED)

_BY_DAY_SUMS: Final = """
), sums AS (
    SELECT (f.time AT TIME ZONE w.time_zone)::date::timestamp AT TIME ZONE 'UTC' AS at, CAST(0 AS bigint) AS a,
           CAST(0 AS bigint) AS b, f.currency, CAST(NULL AS bigint) AS event_id,
           CAST(NULL AS bigint) AS performance_id, CAST(NULL AS bigint) AS ticket_type_id,
           (f.time AT TIME ZONE w.time_zone)::date AS day, CAST(0 AS bigint) AS capacity, {added}
    FROM facts f JOIN wanted w ON w.id = f.performance_id
    GROUP BY (f.time AT TIME ZONE w.time_zone)::date, f.currency
)""".replace("{added}", _ADDED)

_PAGE: Final = """
, page AS (
    SELECT * FROM sums
    WHERE CAST(:after_at AS timestamptz) IS NULL
       OR (at, a, b, currency) > (CAST(:after_at AS timestamptz), CAST(:after_a AS bigint), CAST(:after_b AS bigint),
                                  CAST(:after_currency AS text))
    ORDER BY at, a, b, currency LIMIT :limit
)
SELECT false AS is_total, CAST(1 AS bigint) AS row_count, s.at, s.a, s.b, s.currency, s.event_id, e.title,
       s.performance_id, w.start_time, s.ticket_type_id, t.display_name, s.day, s.capacity, s.held, s.sold,
       s.complimentary, s.bookings, s.revenue, s.refunds, s.cash
FROM page s LEFT JOIN events e ON e.id = s.event_id LEFT JOIN wanted w ON w.id = s.performance_id
LEFT JOIN ticket_types t ON t.performance_id = s.performance_id AND t.id = s.ticket_type_id
UNION ALL
SELECT true, count(*), NULL, NULL, NULL, currency, NULL, NULL, NULL, NULL, NULL, NULL, NULL, sum(capacity)::bigint,
       sum(held)::bigint, sum(sold)::bigint, sum(complimentary)::bigint, sum(bookings_once)::bigint,
       sum(revenue)::bigint, sum(refunds)::bigint, sum(cash)::bigint
FROM sums GROUP BY currency
ORDER BY is_total, at, a, b, currency"""

_TOP: Final = """
, chosen AS (
    SELECT coalesce(CAST(:currency AS text), (
        SELECT currency FROM sums GROUP BY currency ORDER BY sum(revenue) DESC, sum(sold) DESC, currency LIMIT 1
    )) AS currency
)
SELECT false AS is_total, CAST(1 AS bigint) AS row_count, s.at, s.a, s.b, s.currency, s.event_id, e.title,
       s.performance_id, CAST(NULL AS timestamptz) AS start_time, s.ticket_type_id, CAST(NULL AS text) AS display_name,
       s.day, s.capacity, s.held, s.sold, s.complimentary, s.bookings, s.revenue, s.refunds, s.cash
FROM sums s JOIN chosen c ON c.currency = s.currency JOIN events e ON e.id = s.event_id
WHERE s.sold > 0 OR s.revenue > 0
ORDER BY """

SALES: Final = MappingProxyType(
    {
        ReportGrouping.EVENT: _WANTED + _WHOLE + _OFFERED + _BY_EVENT_SUMS + _PAGE,
        ReportGrouping.PERFORMANCE: _WANTED + _WHOLE + _OFFERED + _BY_PERFORMANCE_SUMS + _PAGE,
        ReportGrouping.TICKET_TYPE: _WANTED + _BY_TYPE + _BY_TYPE_SUMS + _PAGE,
        ReportGrouping.DAY: _WANTED + _WHOLE + _BY_DAY_SUMS + _PAGE,
    }
)
"""A page of sales, then a line of totals for each currency."""

TOP: Final = MappingProxyType(
    {
        metric: _WANTED + _WHOLE + _BY_EVENT_SUMS + _TOP + column + " DESC, s.sold DESC, s.event_id LIMIT :limit"
        for metric, column in {
            TopMetric.PROFIT: "s.revenue - s.refunds",
            TopMetric.TICKETS_SOLD: "s.sold",
            TopMetric.BOOKINGS: "s.bookings",
            TopMetric.REVENUE: "s.revenue",
        }.items()
    }
)
"""The best events."""
