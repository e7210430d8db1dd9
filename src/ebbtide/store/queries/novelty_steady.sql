-- Who sent the same amount to an endpoint outside, hour after hour, in the full hours before $hour: in each of the last
-- $few of them, the most no more than $spread times the least. `long` are all $many of them kept to that.
SELECT entity, endpoint,
       count(*) = $many AND max(sent_bytes) <= $spread * min(sent_bytes) AS is_long
FROM edges SEMI JOIN outside USING (endpoint)
WHERE hour >= $hour - $many AND hour < $hour AND sent_bytes > 0
    AND NOT is_attacked(edges.entity, edges.hour, $attacks)
GROUP BY ALL
HAVING count(*) FILTER (hour >= $hour - $few) = $few
    AND max(sent_bytes) FILTER (hour >= $hour - $few) <= $spread * min(sent_bytes) FILTER (hour >= $hour - $few)
ORDER BY ALL
