-- The most destinations and the most new sockets of any hour of each entity before $hour, but for hours of attacks.
WITH masked AS (
    SELECT entity, from_ns // 3600000000000 - 1 AS first, (to_ns - 1) // 3600000000000 AS last
    FROM masks JOIN entities USING (cluster, namespace, workload, process) WHERE starts_with(reason, $attacks)
),
hourly AS (
    SELECT entity, hour, count(*) AS destinations, sum(new_sockets) AS sockets
    FROM edges WHERE hour < $hour AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0)
        AND NOT EXISTS (SELECT 1 FROM masked WHERE masked.entity = edges.entity AND edges.hour BETWEEN masked.first AND masked.last)
    GROUP BY ALL
)
SELECT entity, max(destinations)::DOUBLE AS destinations, max(sockets)::DOUBLE AS sockets
FROM hourly GROUP BY entity ORDER BY entity
