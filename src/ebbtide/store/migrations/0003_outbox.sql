-- What waits to be delivered. A row is one change of one finding for one sink; `number` keeps the order.
CREATE SEQUENCE outbox_numbers;
CREATE TABLE outbox (number BIGINT NOT NULL, sink VARCHAR NOT NULL, uid VARCHAR NOT NULL, change VARCHAR NOT NULL,
                     queued_ns BIGINT NOT NULL, attempts INTEGER NOT NULL, document VARCHAR NOT NULL);

-- What was given up: it waits for an operator to replay it.
CREATE TABLE dead_letters (number BIGINT NOT NULL, sink VARCHAR NOT NULL, uid VARCHAR NOT NULL,
                           change VARCHAR NOT NULL, queued_ns BIGINT NOT NULL, attempts INTEGER NOT NULL,
                           document VARCHAR NOT NULL, dead_ns BIGINT NOT NULL, reason VARCHAR NOT NULL,
                           error VARCHAR NOT NULL);

-- How each sink fares: failures in a row, not before when it is tried again, the last error ("" after a success).
CREATE TABLE sink_states (sink VARCHAR NOT NULL, failures INTEGER NOT NULL, next_ns BIGINT NOT NULL,
                          error VARCHAR NOT NULL);

-- What became of deliveries, for ever: queued, delivered, failed, replayed, dead_<reason>, dropped_<change or dead>.
CREATE TABLE outbox_counts (sink VARCHAR NOT NULL, name VARCHAR NOT NULL, count BIGINT NOT NULL);
