-- What entities sent to each endpoint by hour of day in the hours [$first, $last), but for hours of attacks.
SELECT entity, endpoint, (hour % 24)::BIGINT AS hour, sum(sent_bytes)::DOUBLE AS sent
FROM edges WHERE hour >= $first AND hour < $last AND sent_bytes > 0
    AND NOT is_attacked(edges.entity, edges.hour, $attacks)
GROUP BY ALL ORDER BY ALL
