-- What the outbound detector learns from, for pairs of entity and metric.

-- From what on an hour's traffic counts, in the metric's unit; what is derived below rests on it.
CREATE TABLE floors (metric VARCHAR NOT NULL, per_hour DOUBLE NOT NULL);

-- Hours that were derived since peaks and closed days took them in.
CREATE TABLE due_hours (hour INTEGER NOT NULL);

-- Largest trailing statistics within each hour (logarithms), and the ratio at its end. Only where anything was sent or
-- received in the 24 hours before; elsewhere silence if the cluster was heard, unknown if not.
CREATE TABLE peaks (entity INTEGER NOT NULL, metric SMALLINT NOT NULL, hour INTEGER NOT NULL,
                    ratio_1h FLOAT NOT NULL, ratio_6h FLOAT NOT NULL, volume_1h FLOAT NOT NULL,
                       volume_6h FLOAT NOT NULL, volume_24h FLOAT NOT NULL, inbound FLOAT NOT NULL,
                       ratio_end FLOAT NOT NULL);

-- The largest value of each statistic on a closed day, as kept (bounded) and as seen, and the drip's sum at its end.
CREATE TABLE day_maxima (entity INTEGER NOT NULL, metric SMALLINT NOT NULL, day INTEGER NOT NULL,
                         kept FLOAT[7] NOT NULL, seen FLOAT[7] NOT NULL, cusum FLOAT NOT NULL);
CREATE TABLE learned_days (day INTEGER NOT NULL, pairs INTEGER NOT NULL, entities INTEGER NOT NULL);

-- Raw scores of closed hours that are surprising at all, and what a day's scores are measured with.
CREATE TABLE outbound_scores (entity INTEGER NOT NULL, metric SMALLINT NOT NULL, hour INTEGER NOT NULL,
                              ratio FLOAT NOT NULL, volume FLOAT NOT NULL);
CREATE TABLE outbound_scales (day INTEGER NOT NULL, document VARCHAR NOT NULL);
