-- The rule of the upstream detection as one query over raw samples ({samples}), aggregated by numbers before anything is
-- named, so that the month is not joined.
WITH usual AS (
    SELECT sender, metric, count(*) AS points, avg(value) AS mean, var_pop(value) * count(*) AS m2
    FROM {samples}
    WHERE end_ns >= {from_ns} AND end_ns < {until_ns} AND sender >= 0 AND NOT isnan(value)
    GROUP BY ALL
),
pooled AS (
    SELECT workload, process, metric, sum(points) AS n, sum(points * usual.mean) / n AS pool_mean,
           sum(m2 + points * usual.mean * usual.mean) - n * pool_mean * pool_mean AS pool_m2
    FROM usual JOIN entities ON entity = sender WHERE workload != '' AND process != ''
    GROUP BY workload, process, metric
),
lines AS (
    SELECT workload, process, metric, pool_mean + 3 * CASE
               WHEN name LIKE 'udp.%' THEN pool_mean
               WHEN n > 1 THEN sqrt(greatest(pool_m2, 0) / (n - 1)) ELSE 0 END AS line
    FROM pooled JOIN metrics USING (metric) WHERE name LIKE 'tcp.%' OR name LIKE 'udp.%'
),
points AS (
    SELECT sender, metric, end_ns // 10000000000 AS bucket, sum(value) AS total, count(*) AS points
    FROM {samples}
    WHERE end_ns >= {window_ns} AND end_ns < {now_ns} AND sender >= 0 AND NOT isnan(value)
    GROUP BY ALL
),
buckets AS (
    SELECT cluster, workload, process, metric, bucket, sum(total) / sum(points) AS value
    FROM points JOIN entities ON entity = sender WHERE cluster != '' AND workload != '' AND process != ''
    GROUP BY ALL
)
SELECT cluster, workload, process, count(*) AS hits
FROM buckets JOIN lines USING (workload, process, metric)
WHERE value > line
GROUP BY ALL HAVING hits > 5
ORDER BY ALL
