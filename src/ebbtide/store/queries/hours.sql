-- The summaries of some hours from their samples ({samples}). Moments of raw points, moments of bucket sums at the
-- source's interval (per second), and what was received. A constant has no spread, not even a residue.
WITH own AS (
    SELECT *, end_ns // 3600000000000 AS hour FROM {samples} WHERE NOT isnan(value)
),
points AS (
    SELECT sender AS entity, metric, hour, count(*) AS points, mean_of(value) AS mean, m2_of(value) AS m2,
           min(value) AS minimum, max(value) AS maximum, sum(value) AS sent, max(origin) AS origin
    FROM own WHERE sender >= 0 GROUP BY ALL
),
sums AS (
    SELECT sender AS entity, metric, own.hour, end_ns // (interval_s * 1000000000::BIGINT) AS bucket,
           sum(value) AS total, any_value(interval_s) AS interval_s
    FROM own
    JOIN entities ON entities.entity = own.sender
    JOIN coverage ON coverage.cluster = entities.cluster AND coverage.hour = own.hour
    WHERE sender >= 0 GROUP BY ALL
),
buckets AS (
    SELECT entity, metric, hour, count(*) AS buckets, mean_of(total) / interval_s AS bucket_mean,
           m2_of(total) / interval_s / interval_s AS bucket_m2,
           min(total) / interval_s AS bucket_minimum, max(total) / interval_s AS bucket_maximum
    FROM sums GROUP BY entity, metric, hour, interval_s
),
receipts AS (
    SELECT receiver AS entity, metric, hour, sum(value) AS received, max(origin) AS origin
    FROM own WHERE receiver >= 0 GROUP BY ALL
)
INSERT INTO hours
SELECT entity, metric, hour, coalesce(points, 0),
       CASE WHEN minimum = maximum THEN minimum ELSE coalesce(mean, 0) END,
       coalesce(m2, 0),
       coalesce(minimum, 'inf'::DOUBLE), coalesce(maximum, '-inf'::DOUBLE),
       coalesce(buckets, 0),
       CASE WHEN bucket_minimum = bucket_maximum THEN bucket_minimum ELSE coalesce(bucket_mean, 0) END,
       coalesce(bucket_m2, 0),
       coalesce(bucket_minimum, 'inf'::DOUBLE), coalesce(bucket_maximum, '-inf'::DOUBLE),
       coalesce(sent, 0), coalesce(received, 0),
       greatest(points.origin, receipts.origin), coalesce(revision, 0) + 1
FROM points
FULL JOIN receipts USING (entity, metric, hour)
LEFT JOIN buckets USING (entity, metric, hour)
LEFT JOIN revisions USING (entity, metric, hour)
ORDER BY hour, entity, metric
