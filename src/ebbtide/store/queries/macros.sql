-- Moments of values that are whole numbers (bytes, packets, sockets) are computed in integers, so they come out the same
-- to the last bit in whatever order the samples lie. 2^45 bounds a value so that n times the sum of squares fits 128 bits.
CREATE OR REPLACE TEMP MACRO whole(x) AS CASE WHEN x < 35184372088832 THEN x::HUGEINT ELSE 0 END;
CREATE OR REPLACE TEMP MACRO are_whole(x) AS bool_and(x = trunc(x) AND x < 35184372088832) AND count(x) < 16777216;
CREATE OR REPLACE TEMP MACRO mean_of(x) AS
    CASE WHEN are_whole(x) THEN sum(whole(x))::DOUBLE / count(x) ELSE avg(x) END;
CREATE OR REPLACE TEMP MACRO m2_of(x) AS
    CASE WHEN min(x) = max(x) THEN 0
         WHEN are_whole(x)
         THEN (count(x)::HUGEINT * sum(whole(x) * whole(x)) - sum(whole(x)) * sum(whole(x)))::DOUBLE / count(x)
         ELSE var_pop(x) * count(x) END;
-- Hours of entities in which an attack was found, by the beginning of their masks' reasons. The hour before counts, since
-- it is judged with the finding.
CREATE OR REPLACE TEMP MACRO is_attacked(who, during, attacks) AS EXISTS (
    SELECT 1 FROM masks JOIN entities USING (cluster, namespace, workload, process)
    WHERE entities.entity = who AND starts_with(reason, attacks)
        AND during BETWEEN from_ns // 3600000000000 - 1 AND (to_ns - 1) // 3600000000000
);
