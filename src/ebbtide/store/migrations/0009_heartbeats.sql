-- Heartbeats by sink: when the last one was queued, and when the receiver last accepted one (0: never).
CREATE TABLE heartbeats (sink VARCHAR NOT NULL, queued_ns BIGINT NOT NULL, accepted_ns BIGINT NOT NULL);
