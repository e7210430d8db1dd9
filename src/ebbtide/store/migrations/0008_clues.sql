-- Where entities' bytes went on closed days: per hour the share that went where the usual mix of the days before would
-- have sent it. Only where something was sent and a usual mix was known.
CREATE TABLE sent_mixes (entity INTEGER NOT NULL, hour INTEGER NOT NULL, overlap FLOAT NOT NULL);

-- Clues that the hour was benign: 1 known places, 2 usual mix, added up. Hours closed before have none.
ALTER TABLE outbound_scores ADD COLUMN clues TINYINT DEFAULT 0;
