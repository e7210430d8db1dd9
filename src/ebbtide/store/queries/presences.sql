-- What each entity sent, by the closed days $whole and by the hours of no such day ($open, ranges of hours).
-- See `presence.presences`.
WITH parts AS (
    SELECT entity, day * 24 + 23 AS last, true AS is_day, max(hours) AS hours,
           sum(CASE WHEN list_contains($metrics::INTEGER[], metric) THEN sent ELSE 0 END) AS bytes
    FROM days WHERE day IN (SELECT unnest($whole::INTEGER[])) $among
    GROUP BY entity, day
    UNION ALL
    SELECT entity, hour, false, 1,
           sum(CASE WHEN list_contains($metrics::INTEGER[], metric) THEN sent ELSE 0 END)
    FROM hours WHERE $open $among
    GROUP BY entity, hour
)
SELECT entity, sum(bytes), max(last), arg_max(is_day, last), sum(hours)::BIGINT,
       coalesce(sum(bytes) FILTER (last = $end - 1), 0),
       coalesce(sum(bytes) FILTER (last >= $end - 24 AND last < $end), 0)
FROM parts GROUP BY entity
ORDER BY sum(bytes) DESC, entity
LIMIT $size OFFSET $skip
