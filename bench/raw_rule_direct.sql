-- The rule of the upstream detection as one query over raw samples ({samples}), written as it is told.
WITH named AS (
    SELECT cluster, workload, process, metric, end_ns, value
    FROM {samples} JOIN entities ON entity = sender
    WHERE NOT isnan(value) AND cluster != '' AND workload != '' AND process != ''
),
usual AS (
    SELECT workload, process, metric, avg(value) AS mean, coalesce(stddev_samp(value), 0) AS stdev
    FROM named WHERE end_ns >= {from_ns} AND end_ns < {until_ns}
    GROUP BY ALL
),
buckets AS (
    SELECT cluster, workload, process, metric, end_ns // 10000000000 AS bucket, avg(value) AS value
    FROM named WHERE end_ns >= {window_ns} AND end_ns < {now_ns}
    GROUP BY ALL
)
SELECT cluster, workload, process, count(*) AS hits
FROM buckets JOIN usual USING (workload, process, metric) JOIN metrics USING (metric)
WHERE value > mean + 3 * CASE WHEN name LIKE 'udp.%' THEN mean ELSE stdev END
GROUP BY ALL HAVING hits > 5
ORDER BY ALL
