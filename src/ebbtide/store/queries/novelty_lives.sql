-- Of each entity before $day, from closed days: the first day on which it sent, the last on which it sent $least bytes
-- (-1: none), the most it sent on one, how often it came back after more than $silent days below that, and whether it ever sent UDP.
WITH daily AS (
    SELECT entity, day, sum(sent) AS sent, bool_or(starts_with(metrics.name, 'udp.')) AS is_udp
    FROM days JOIN metrics USING (metric)
    WHERE day < $day AND sent > 0 AND ends_with(metrics.name, '.bytes') GROUP BY ALL
),
spoke AS (
    SELECT entity, day, day - lag(day) OVER (PARTITION BY entity ORDER BY day) AS gap
    FROM daily WHERE sent >= $least
),
returns AS (
    SELECT entity, max(day) AS last_day, count(*) FILTER (gap > $silent) AS wakings FROM spoke GROUP BY entity
)
SELECT entity, min(day)::BIGINT AS first_day, coalesce(any_value(last_day), -1)::BIGINT AS last_day,
       max(sent)::DOUBLE AS most_sent, coalesce(any_value(wakings), 0)::DOUBLE AS wakings, bool_or(is_udp)::INTEGER AS had_udp
FROM daily LEFT JOIN returns USING (entity) GROUP BY entity ORDER BY entity
