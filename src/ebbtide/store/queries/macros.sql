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
