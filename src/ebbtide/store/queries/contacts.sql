-- What a few entities ({few}) sent to whom, largest first, from their samples ({samples}), summed over the metrics that
-- end in $suffix; hour: when each first sent anything to that destination before $hour, as far back as edges are kept.
WITH sent AS (
    SELECT sender, series, sum(value) AS value FROM {samples}
    WHERE sender IN ({few}) AND NOT isnan(value) GROUP BY ALL
),
named AS (
    SELECT sent.sender, destination, sum(value) AS value
    FROM sent JOIN series USING (series) JOIN metrics ON metrics.metric = series.metric
    WHERE ends_with(metrics.name, $suffix) GROUP BY ALL
),
seen AS (
    SELECT entity, endpoint, min(hour) AS hour FROM edges
    WHERE hour < $hour AND entity IN ({few}) AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0) GROUP BY ALL
)
SELECT named.sender, destination, value, seen.hour
FROM named LEFT JOIN seen ON seen.entity = named.sender AND seen.endpoint = destination
ORDER BY named.sender, value DESC, destination
