-- Who exchanged how much with whom in some hours, from their samples ({samples}): one row for the sender's side and
-- one for the receiver's, where they are known.
WITH totals AS (
    SELECT series, end_ns // 3600000000000 AS hour, sum(value) AS value
    FROM {samples} WHERE NOT isnan(value) GROUP BY ALL
),
named AS (
    SELECT sender, receiver, source, destination, hour, value, metrics.name AS metric
    FROM totals JOIN series USING (series) JOIN metrics ON metrics.metric = series.metric
),
sides AS (
    SELECT sender AS entity, destination AS endpoint, hour, metric, value AS sent, 0.0 AS received FROM named
    UNION ALL
    SELECT receiver, source, hour, metric, 0.0, value FROM named
)
INSERT INTO edges
SELECT entity, endpoint, hour,
       sum(CASE WHEN metric LIKE '%.bytes' THEN sent ELSE 0 END),
       sum(CASE WHEN metric LIKE '%.bytes' THEN received ELSE 0 END),
       sum(CASE WHEN metric LIKE '%.packets' THEN sent ELSE 0 END),
       sum(CASE WHEN metric LIKE '%.packets' THEN received ELSE 0 END),
       sum(CASE WHEN metric LIKE '%.new_sockets' THEN sent ELSE 0 END)
FROM sides WHERE entity IS NOT NULL GROUP BY ALL ORDER BY hour, entity, endpoint
