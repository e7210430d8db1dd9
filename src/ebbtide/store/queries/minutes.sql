-- What some entities sent (or received: {side}) in each step of [$first, $last), a sample spread evenly over the time it
-- covers, from samples ({samples}); steps of {step} ns count from $first.
WITH own AS (
    SELECT {side} AS entity, metric, value, end_ns, end_ns - greatest(span_ns, 1) AS start_ns
    FROM {samples} WHERE {side} BETWEEN $low AND $high AND NOT isnan(value)
),
spread AS (
    SELECT *, unnest(range(start_ns // {step}, (end_ns - 1) // {step} + 1)) AS step FROM own
)
SELECT entity, metric, step - $first AS step,
       sum(value * ((least(end_ns, (step + 1) * {step}) - greatest(start_ns, step * {step}))
                    / (end_ns - start_ns)::DOUBLE)) AS value
FROM spread WHERE step >= $first AND step < $last GROUP BY ALL
