-- What each entity sent to each endpoint in the samples given ({samples}): before $from (the part of that hour which is
-- not judged; bytes 0) and after it.
WITH totals AS (
    SELECT sender, series, end_ns > $from AS is_judged, sum(value) AS value
    FROM {samples} WHERE sender >= 0 AND value > 0 GROUP BY ALL
)
SELECT totals.sender AS entity, destination AS endpoint, is_judged,
       sum(CASE WHEN ends_with(metrics.name, '.bytes') THEN value ELSE 0 END)::DOUBLE AS sent,
       sum(CASE WHEN metrics.name = 'udp.bytes' THEN value ELSE 0 END)::DOUBLE AS udp_sent,
       sum(CASE WHEN ends_with(metrics.name, '.new_sockets') THEN value ELSE 0 END)::DOUBLE AS sockets
FROM totals JOIN series USING (series) JOIN metrics ON metrics.metric = series.metric
GROUP BY ALL ORDER BY ALL
