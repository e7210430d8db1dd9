-- How far each detection has judged each cluster (* where its rows pool them): the last instant of evaluation, and up to where its data reach.
CREATE TABLE progress (detection VARCHAR NOT NULL, cluster VARCHAR NOT NULL, judged_ns BIGINT NOT NULL,
                       data_ns BIGINT NOT NULL);

-- Hours of a cluster that changed after they were judged; they wait to be judged once more.
CREATE SEQUENCE late_numbers;
CREATE TABLE late_hours (number BIGINT NOT NULL, cluster VARCHAR NOT NULL, hour INTEGER NOT NULL);

-- That an object's risk grew, by which finding; tactics are a JSON list of names.
CREATE TABLE risk_events (at_ns BIGINT NOT NULL, object VARCHAR NOT NULL, object_type VARCHAR NOT NULL,
                          score DOUBLE NOT NULL, finding VARCHAR NOT NULL, detection VARCHAR NOT NULL,
                          tactics VARCHAR NOT NULL);

-- Incidents, and states of the service that are told like findings. `subject` is what it is about; the document is
-- the record that was delivered last.
CREATE TABLE notices (uid VARCHAR NOT NULL, kind VARCHAR NOT NULL, subject VARCHAR NOT NULL, opened_ns BIGINT NOT NULL,
                      closed_ns BIGINT, document VARCHAR NOT NULL);

-- Changes that were announced: from when to when, for whom, and why.
CREATE TABLE plans (name VARCHAR NOT NULL, document VARCHAR NOT NULL);
