-- The minutes of each hour a cluster was heard in, and its source's interval; {samples}: the samples to look at,
-- $from_hour <= hour < $to_hour: the hours to tell about. A span over an hour is a catch-up, not coverage. An hour in
-- which no sample ends has no interval of its own (-1), even if a sample that ends later reaches into it.
WITH heard AS (
    SELECT coalesce(s.cluster, r.cluster) AS cluster, x.end_ns, least(x.span_ns, 3600000000000) AS span_ns
    FROM {samples} x
    LEFT JOIN entities s ON s.entity = x.sender
    LEFT JOIN entities r ON r.entity = x.receiver
),
reach AS (
    SELECT DISTINCT cluster, (end_ns - greatest(span_ns, 1)) // 60000000000 AS first, (end_ns - 1) // 60000000000 AS last
    FROM heard
),
minutes AS (SELECT DISTINCT cluster, unnest(range(first, last + 1)) AS minute FROM reach),
bits AS (
    SELECT cluster, minute // 60 AS hour, bit_or(1::BIGINT << (minute % 60)::INTEGER) AS samples
    FROM minutes GROUP BY ALL
),
spans AS (
    SELECT cluster, end_ns // 3600000000000 AS hour, quantile_disc(span_ns, 0.5) FILTER (span_ns > 0) AS span_ns
    FROM heard GROUP BY ALL
)
SELECT cluster, hour::INTEGER AS hour, coalesce(samples, 0) AS samples,
       CASE WHEN spans.cluster IS NULL THEN -1 ELSE coalesce(span_ns, 0) END AS span_ns
FROM bits FULL JOIN spans USING (cluster, hour)
WHERE hour >= $from_hour AND hour < $to_hour
