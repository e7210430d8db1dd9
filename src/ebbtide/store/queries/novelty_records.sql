-- The most destinations and the most new sockets of any hour of each entity before $hour, but for hours of attacks.
WITH hourly AS (
    SELECT entity, hour, count(*) AS destinations, sum(new_sockets) AS sockets
    FROM edges WHERE hour < $hour AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0)
        AND NOT is_attacked(edges.entity, edges.hour, $attacks)
    GROUP BY ALL
)
SELECT entity, max(destinations)::DOUBLE AS destinations, max(sockets)::DOUBLE AS sockets
FROM hourly GROUP BY entity ORDER BY entity
