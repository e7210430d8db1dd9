-- Whom each entity sent to in the full hours [$first, $last) of the day, and how much; but for hours of attacks.
WITH masked AS (
    SELECT entity, from_ns // 3600000000000 - 1 AS first, (to_ns - 1) // 3600000000000 AS last
    FROM masks JOIN entities USING (cluster, namespace, workload, process) WHERE starts_with(reason, $attacks)
)
SELECT entity, endpoint, sum(sent_bytes)::DOUBLE AS sent
FROM edges WHERE hour >= $first AND hour < $last AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0)
    AND NOT EXISTS (SELECT 1 FROM masked WHERE masked.entity = edges.entity AND edges.hour BETWEEN masked.first AND masked.last)
GROUP BY ALL ORDER BY ALL
