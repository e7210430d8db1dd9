-- Whom each entity ever sent to before $hour: the first hour and its bytes in both directions. What it met only while it
-- was attacked (verdicts; the hour before counts, since it is judged with the finding) was not met.
WITH masked AS (
    SELECT entity, from_ns // 3600000000000 - 1 AS first, (to_ns - 1) // 3600000000000 AS last
    FROM masks JOIN entities USING (cluster, namespace, workload, process) WHERE starts_with(reason, $attacks)
)
SELECT entity, endpoint, min(hour)::BIGINT AS hour, arg_min(sent_bytes, hour)::DOUBLE AS sent,
       arg_min(received_bytes, hour)::DOUBLE AS received
FROM edges WHERE hour < $hour AND (sent_bytes > 0 OR sent_packets > 0 OR new_sockets > 0)
    AND NOT EXISTS (SELECT 1 FROM masked WHERE masked.entity = edges.entity AND edges.hour BETWEEN masked.first AND masked.last)
GROUP BY ALL ORDER BY ALL
