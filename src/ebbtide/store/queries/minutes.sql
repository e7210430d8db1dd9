-- What some entities sent (or received: {side}) in each minute of [$first, $last), a sample spread evenly over the time it
-- covers, from samples ({samples}); minutes count from $first.
WITH own AS (
    SELECT {side} AS entity, metric, value, end_ns, end_ns - greatest(span_ns, 1) AS start_ns
    FROM {samples} WHERE {side} BETWEEN $low AND $high AND NOT isnan(value)
),
spread AS (
    SELECT *, unnest(range(start_ns // 60000000000, (end_ns - 1) // 60000000000 + 1)) AS minute FROM own
)
SELECT entity, metric, minute - $first AS minute,
       sum(value * ((least(end_ns, (minute + 1) * 60000000000) - greatest(start_ns, minute * 60000000000))
                    / (end_ns - start_ns)::DOUBLE)) AS value
FROM spread WHERE minute >= $first AND minute < $last GROUP BY ALL
