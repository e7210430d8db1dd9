-- What rests on settled hours (`settled`) and is not derived again: hours $dropped of segments whose samples were dropped,
-- $there of those in $segments. See `settled.find_frozen`.
INSERT INTO frozen
WITH sampled AS (
    SELECT DISTINCT entity, hour FROM hours WHERE hour >= $first - $reach AND hour < $last
    EXCEPT SELECT entity, hour FROM settled
),
changed AS (
    SELECT entity, hour FROM sampled
    WHERE hour IN (SELECT hour FROM due_hours) AND list_contains($segments::INTEGER[], (hour // 6)::INTEGER)
),
resting AS (
    SELECT DISTINCT entity, late.hour FROM settled
    JOIN (SELECT unnest($dropped::INTEGER[] || $there::INTEGER[]) AS hour) late
        ON late.hour BETWEEN settled.hour AND settled.hour + $reach
)
SELECT entity, hour FROM resting
WHERE CASE WHEN list_contains($dropped::INTEGER[], hour)
           THEN NOT EXISTS (FROM sampled WHERE sampled.entity = resting.entity AND sampled.hour = resting.hour)
           ELSE NOT EXISTS (FROM changed WHERE changed.entity = resting.entity
                            AND changed.hour BETWEEN resting.hour - $reach AND resting.hour) END
