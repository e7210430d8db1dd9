-- The minutes of [$first, $last) in which each cluster was heard, by samples ({samples}, of any entity, up to an hour
-- long: longer ones are catch-ups) or by heartbeats; minutes count from $first.
WITH heard AS (
    SELECT DISTINCT coalesce(s.cluster, r.cluster) AS cluster, (end_ns - greatest(span_ns, 1)) // 60000000000 AS start,
           (end_ns - 1) // 60000000000 AS stop
    FROM {samples}
    LEFT JOIN entities s ON s.entity = sender
    LEFT JOIN entities r ON r.entity = receiver
    WHERE span_ns <= 3600000000000
),
minutes AS (
    SELECT cluster, unnest(range(start, stop + 1)) AS minute FROM heard
    UNION ALL
    SELECT cluster, minute
    FROM (SELECT cluster, heartbeats, hour, unnest(range(hour * 60, hour * 60 + 60)) AS minute FROM coverage
          WHERE hour * 60 + 60 > $first AND hour * 60 < $last)
    WHERE heartbeats >> (minute % 60)::INTEGER & 1 = 1
)
SELECT DISTINCT cluster, minute - $first AS minute FROM minutes WHERE minute >= $first AND minute < $last
