"""The statements of the time series. One round trip each."""

from __future__ import annotations

from console.history.rules import MINUTE_S, QUARTER_S

# Ordered, so that two polls that record the same names wait for each other instead of dead-locking.
RECORD = """
WITH sample(name, unit, worst, value) AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::boolean[], %s::real[])
), fresh AS (
    INSERT INTO history_series (name, unit, worst)
    SELECT name, unit, worst FROM sample
    WHERE NOT EXISTS (SELECT FROM history_series known WHERE known.name = sample.name)
    ORDER BY name
    ON CONFLICT (name) DO NOTHING
    RETURNING id, name
)
INSERT INTO history_point (at, series_id, value)
SELECT %s, series.id, sample.value
FROM sample JOIN (
    SELECT id, name FROM history_series UNION ALL SELECT id, name FROM fresh
) series USING (name)
ORDER BY series.id
ON CONFLICT DO NOTHING
"""

LATEST = """
SELECT series.name, newest.value, newest.at
FROM history_series series CROSS JOIN LATERAL (
    SELECT value, at FROM history_point
    WHERE series_id = series.id AND at >= %(start)s AND at <= %(now)s
    ORDER BY at DESC LIMIT 1
) newest
WHERE series.name = ANY(%(names)s)
"""

# What is rolled up lies before `…_until`; the clamp by `end` ignores what a clock in the future rolled up.
_UNTIL = """
    (SELECT coalesce(max(starts_at) + '{chunk}', '-infinity') FROM history_rolled
     WHERE level = '{level}' AND starts_at < %(end)s)"""

# Samples are put together here: they come from the index alone, and a fifth of them or less is sent. Of a step one
# needs the highest, or the sum and the number. Arrays are taken apart in Python (`console.history.rules.reduced`): five
# times as fast as unnest and GROUP BY.
_RAW = """
    SELECT array_agg(slot) AS slots, 0 AS began, 0 AS step, array_agg(highest) AS y, array_agg(total) AS sums,
        array_agg(number) AS counts
    FROM (
        SELECT floor((date_part('epoch', at) - %(origin)s) / %(step_s)s)::integer AS slot,
            max(value) FILTER (WHERE series.worst) AS highest,
            sum(value::double precision) FILTER (WHERE NOT series.worst) AS total, count(*)::integer AS number
        FROM history_point
        WHERE series_id = series.id AND at >= greatest(%(start)s, {since}) AND at < %(end)s
        GROUP BY slot
    ) binned
    HAVING count(*) > 0"""

_CHUNKS = """
    SELECT NULL, date_part('epoch', starts_at), {step}, y, NULL, NULL
    FROM history_{level}
    WHERE series_id = series.id
    AND starts_at >= greatest(%(start)s - interval '{chunk}', {since}) AND starts_at < {until}
    AND starts_at < %(end)s"""

_POINTS = """
SELECT series.name, series.unit, series.worst, chunk.*
FROM history_series series CROSS JOIN LATERAL ({sources}) chunk
WHERE series.name = ANY(%(names)s)
"""


def points(step_s: float) -> str:
    """The points of `%(names)s` in `[%(start)s, %(end)s)` from the coarsest resolution that serves `step_s`.

    What is not rolled up to it yet is taken from the finer ones. Samples come by their step of `%(step_s)s` seconds,
    from `%(origin)s` on (Unix seconds); minutes and quarters of an hour as they are kept.
    """
    minutes_until = _UNTIL.format(level="minute", chunk="1 hour")
    quarters_until = _UNTIL.format(level="quarter", chunk="1 day")
    never = "timestamptz '-infinity'"
    if step_s < MINUTE_S:
        sources = [_RAW.format(since=never)]
    else:
        sources = [_RAW.format(since=minutes_until)]
        minutes_since = never
        if step_s >= QUARTER_S:
            minutes_since = quarters_until
            sources.append(
                _CHUNKS.format(level="quarter", step=QUARTER_S, chunk="1 day", since=never, until=quarters_until)
            )
        sources.append(
            _CHUNKS.format(level="minute", step=MINUTE_S, chunk="1 hour", since=minutes_since, until=minutes_until)
        )
    return _POINTS.format(sources="\n    UNION ALL".join(sources))


# An array has a slot for every step of its chunk, NULL where nothing was seen. Rolling up again merges: what
# is new wins, and what was there stays where the finer points are gone.
_ROLL = """
INSERT INTO history_{level} AS kept (starts_at, series_id, y)
SELECT %(start)s, series_id, array_agg(value ORDER BY n)
FROM (
    SELECT point.series_id, n, (CASE WHEN series.worst THEN max(value) ELSE avg(value) END)::real AS value
    FROM ({source}) point JOIN history_series series ON series.id = point.series_id
    GROUP BY point.series_id, series.worst, n
) step RIGHT JOIN (
    SELECT series_id, n FROM (SELECT DISTINCT series_id FROM {table}
        WHERE {key} >= %(start)s AND {key} < %(end)s) known CROSS JOIN generate_series(0, {count} - 1) AS n
) slot USING (series_id, n)
GROUP BY series_id
ON CONFLICT (series_id, starts_at) DO UPDATE SET y = (
    SELECT array_agg(coalesce(new, old) ORDER BY n)
    FROM unnest(kept.y, excluded.y) WITH ORDINALITY AS both_of(old, new, n)
)
"""

ROLL_MINUTES = _ROLL.format(
    level="minute",
    count=60,
    table="history_point",
    key="at",
    source="""SELECT series_id, floor(date_part('epoch', at - %(start)s) / 60)::integer AS n, value
        FROM history_point WHERE at >= %(start)s AND at < %(end)s""",
)
ROLL_QUARTERS = _ROLL.format(
    level="quarter",
    count=96,
    table="history_minute",
    key="starts_at",
    source="""SELECT series_id, value,
            (date_part('epoch', starts_at - %(start)s)::integer / 60 + minute::integer - 1) / 15 AS n
        FROM history_minute, unnest(y) WITH ORDINALITY AS slot(value, minute)
        WHERE starts_at >= %(start)s AND starts_at < %(end)s AND value IS NOT NULL""",
)

FORGET_EMPTY = """
DELETE FROM history_series series
WHERE NOT EXISTS (SELECT FROM history_quarter WHERE series_id = series.id)
AND NOT EXISTS (SELECT FROM history_minute WHERE series_id = series.id)
AND NOT EXISTS (SELECT FROM history_point WHERE series_id = series.id)
"""
