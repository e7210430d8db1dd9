-- Whom each entity ever sent to before $hour: the first hour and its bytes in both directions. What it met only while it
-- was attacked (verdicts) was not met.
SELECT entity, endpoint, min(hour)::BIGINT AS hour, arg_min(sent_bytes, hour)::DOUBLE AS sent,
       arg_min(received_bytes, hour)::DOUBLE AS received
FROM edges WHERE hour < $hour AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0)
    AND NOT is_attacked(edges.entity, edges.hour, $attacks)
GROUP BY ALL ORDER BY ALL
