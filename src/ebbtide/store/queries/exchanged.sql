-- What each entity exchanged with each endpoint it sent to, from sums of series (`totals`), apart for what is judged and
-- what came before it.
WITH named AS (
    SELECT sender, receiver, source, destination, is_judged, value, metrics.name AS metric
    FROM totals JOIN series USING (series) JOIN metrics ON metrics.metric = series.metric
),
sides AS (
    SELECT sender AS entity, destination AS endpoint, is_judged, metric, value AS sent, 0.0 AS received FROM named
    UNION ALL
    SELECT receiver, source, is_judged, metric, 0.0, value FROM named
)
SELECT entity, endpoint, is_judged,
       sum(CASE WHEN ends_with(metric, '.bytes') THEN sent ELSE 0 END)::DOUBLE AS sent,
       sum(CASE WHEN ends_with(metric, '.bytes') THEN received ELSE 0 END)::DOUBLE AS received,
       sum(CASE WHEN metric = 'udp.bytes' THEN sent ELSE 0 END)::DOUBLE AS udp_sent,
       sum(CASE WHEN ends_with(metric, '.new_sockets') THEN sent ELSE 0 END)::DOUBLE AS sockets
FROM sides WHERE entity IS NOT NULL GROUP BY ALL HAVING sum(sides.sent) > 0 ORDER BY ALL
