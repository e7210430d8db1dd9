-- What each entity sent to each endpoint in the samples given ({samples}), in bytes.
WITH totals AS (
    SELECT sender, series, sum(value) AS value
    FROM {samples} WHERE NOT isnan(value) AND value > 0 AND sender >= 0 GROUP BY ALL
)
SELECT totals.sender AS entity, destination AS endpoint, sum(value)::DOUBLE AS sent
FROM totals JOIN series USING (series) JOIN metrics ON metrics.metric = series.metric
WHERE ends_with(metrics.name, '.bytes') GROUP BY ALL ORDER BY ALL
