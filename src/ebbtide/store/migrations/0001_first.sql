-- Identity: small integers stand for long names everywhere else. The single writer keeps them unique.
CREATE TABLE entities (entity INTEGER NOT NULL, cluster VARCHAR NOT NULL, namespace VARCHAR NOT NULL,
                       workload VARCHAR NOT NULL, process VARCHAR NOT NULL);
CREATE TABLE endpoints (endpoint INTEGER NOT NULL, cluster VARCHAR NOT NULL, namespace VARCHAR NOT NULL,
                        workload VARCHAR NOT NULL, process VARCHAR NOT NULL, kind VARCHAR NOT NULL);
CREATE TABLE metrics (metric SMALLINT NOT NULL, name VARCHAR NOT NULL);
CREATE TABLE series (series INTEGER NOT NULL, key BIGINT NOT NULL, metric SMALLINT NOT NULL,
                     sender INTEGER, receiver INTEGER, source INTEGER NOT NULL, destination INTEGER NOT NULL,
                     image_version VARCHAR NOT NULL, attributes VARCHAR NOT NULL);

-- Where data came from: one row for each import, backfill or live session.
CREATE TABLE provenance (origin INTEGER NOT NULL, kind VARCHAR NOT NULL, name VARCHAR NOT NULL, unit VARCHAR NOT NULL,
                         counts VARCHAR NOT NULL);

-- Samples lie in one table per segment of six hours (samples_<segment>), made by the writer and dropped whole.
CREATE TABLE segments (segment INTEGER NOT NULL);
CREATE TABLE dirty_hours (hour INTEGER NOT NULL);
CREATE TABLE closed_days (day INTEGER NOT NULL);

-- Which minutes of an hour a cluster's agents were heard in (bit i: minute i), by heartbeats and by samples,
-- and the source's own interval: the median span of its samples, snapped, at least 10 s; 0 where no sample ends.
CREATE TABLE coverage (cluster VARCHAR NOT NULL, hour INTEGER NOT NULL, heartbeats BIGINT NOT NULL,
                       samples BIGINT NOT NULL, interval_s INTEGER NOT NULL);

-- points..maximum: moments of raw samples as upstream pools them. buckets..bucket_maximum: moments of the sum over all
-- destinations in one bucket of the source's interval, per second. sent, received: the hour's totals. hours of a day: those in which anything was sent.
CREATE TABLE hours (entity INTEGER NOT NULL, metric SMALLINT NOT NULL, hour INTEGER NOT NULL,
                    points BIGINT NOT NULL, mean DOUBLE NOT NULL, m2 DOUBLE NOT NULL,
                    minimum DOUBLE NOT NULL, maximum DOUBLE NOT NULL,
                    buckets BIGINT NOT NULL, bucket_mean DOUBLE NOT NULL, bucket_m2 DOUBLE NOT NULL,
                    bucket_minimum DOUBLE NOT NULL, bucket_maximum DOUBLE NOT NULL,
                    sent DOUBLE NOT NULL, received DOUBLE NOT NULL,
                    origin INTEGER NOT NULL, revision INTEGER NOT NULL);
CREATE TABLE days (entity INTEGER NOT NULL, metric SMALLINT NOT NULL, day INTEGER NOT NULL,
                   points BIGINT NOT NULL, mean DOUBLE NOT NULL, m2 DOUBLE NOT NULL,
                   minimum DOUBLE NOT NULL, maximum DOUBLE NOT NULL,
                   buckets BIGINT NOT NULL, bucket_mean DOUBLE NOT NULL, bucket_m2 DOUBLE NOT NULL,
                   bucket_minimum DOUBLE NOT NULL, bucket_maximum DOUBLE NOT NULL,
                   sent DOUBLE NOT NULL, received DOUBLE NOT NULL, hours INTEGER NOT NULL);

-- Who exchanged how much with whom, by hour.
CREATE TABLE edges (entity INTEGER NOT NULL, endpoint INTEGER NOT NULL, hour INTEGER NOT NULL,
                    sent_bytes DOUBLE NOT NULL, received_bytes DOUBLE NOT NULL,
                    sent_packets DOUBLE NOT NULL, received_packets DOUBLE NOT NULL, new_sockets DOUBLE NOT NULL);

-- Time an analyst has taken out of an entity's baseline. Summaries are never edited; masks apply when they are read.
CREATE TABLE masks (cluster VARCHAR NOT NULL, namespace VARCHAR NOT NULL, workload VARCHAR NOT NULL,
                    process VARCHAR NOT NULL, from_ns BIGINT NOT NULL, to_ns BIGINT NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE findings (uid VARCHAR NOT NULL, detection VARCHAR NOT NULL, opened_ns BIGINT NOT NULL,
                       last_ns BIGINT NOT NULL, document VARCHAR NOT NULL);
CREATE TABLE filters (name VARCHAR NOT NULL, document VARCHAR NOT NULL);
