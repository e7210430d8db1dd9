-- Which hours of a source a backfill has done: a run that was stopped goes on behind them.
CREATE TABLE backfilled (origin INTEGER NOT NULL, hour INTEGER NOT NULL, samples BIGINT NOT NULL, counts VARCHAR NOT NULL);

-- Segments whose samples were dropped and into which a backfill brought others: some of their summaries have no samples.
CREATE TABLE reopened_segments (segment INTEGER NOT NULL);
