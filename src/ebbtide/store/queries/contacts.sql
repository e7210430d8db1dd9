-- What some entities sent to whom, each in its own span (table spans: entity, from_ns, to_ns), from the samples of all
-- spans ({samples}), summed over the metrics that end in $suffix; hour: when each first sent anything to that
-- destination before its span, as far back as edges are kept. Largest first.
WITH sent AS (
    SELECT sender, series, sum(value) AS value
    FROM {samples} JOIN spans ON spans.entity = sender AND end_ns >= from_ns AND end_ns < to_ns
    WHERE NOT isnan(value) GROUP BY ALL
),
named AS (
    SELECT sent.sender, destination, sum(value) AS value
    FROM sent JOIN series USING (series) JOIN metrics ON metrics.metric = series.metric
    WHERE ends_with(metrics.name, $suffix) GROUP BY ALL
),
seen AS (
    SELECT edges.entity, endpoint, min(hour) AS hour
    FROM edges JOIN spans ON spans.entity = edges.entity AND hour < from_ns // 3600000000000
    WHERE sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0 GROUP BY ALL
)
SELECT named.sender, destination, value, seen.hour
FROM named LEFT JOIN seen ON seen.entity = named.sender AND seen.endpoint = destination
ORDER BY named.sender, value DESC, destination
