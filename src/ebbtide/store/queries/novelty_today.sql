-- Whom each entity sent to in the full hours [$first, $last) of the day, and how much; but for hours of attacks.
SELECT entity, endpoint, sum(sent_bytes)::DOUBLE AS sent
FROM edges WHERE hour >= $first AND hour < $last AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0)
    AND NOT is_attacked(edges.entity, edges.hour, $attacks)
GROUP BY ALL ORDER BY ALL
