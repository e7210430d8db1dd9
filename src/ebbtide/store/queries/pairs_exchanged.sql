-- What pairs of entity and metric ({metrics}) sent and received in each piece ({piece}) of the samples given ({samples}),
-- each sample rounded to whole units, and when the first of them begins. Samples are read once for both sides.
WITH parts AS MATERIALIZED (
    SELECT {piece} AS piece, sender, receiver, metric, sum(round(value)) AS value,
           min(end_ns - greatest(span_ns, 1)) AS earliest_ns
    FROM {samples} WHERE NOT isnan(value) AND metric IN ({metrics}) GROUP BY ALL
)
SELECT piece, entity, metric, sum(sent) AS sent, sum(received) AS received, min(earliest_ns) AS earliest_ns
FROM (
    SELECT piece, sender AS entity, metric, value AS sent, 0.0 AS received, earliest_ns FROM parts WHERE sender >= 0
    UNION ALL
    SELECT piece, receiver, metric, 0.0, value, earliest_ns FROM parts WHERE receiver >= 0
) GROUP BY piece, entity, metric
