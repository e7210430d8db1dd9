-- A finding lives: what a list of findings is sorted and searched by stands beside its document.
ALTER TABLE findings ADD COLUMN closed_ns BIGINT;
ALTER TABLE findings ADD COLUMN reopened INTEGER DEFAULT 0;
ALTER TABLE findings ADD COLUMN peak_count BIGINT DEFAULT 0;
ALTER TABLE findings ADD COLUMN risk DOUBLE DEFAULT 0;
ALTER TABLE findings ADD COLUMN hidden BOOLEAN DEFAULT false;
ALTER TABLE findings ADD COLUMN cluster VARCHAR DEFAULT '';
ALTER TABLE findings ADD COLUMN namespace VARCHAR DEFAULT '';
ALTER TABLE findings ADD COLUMN workload VARCHAR DEFAULT '';
ALTER TABLE findings ADD COLUMN process VARCHAR DEFAULT '';
UPDATE findings SET
    peak_count = CAST(document ->> '$.count' AS BIGINT),
    risk = CAST(document ->> '$.risk.score' AS DOUBLE),
    hidden = json_array_length(document, '$.hidden_by') > 0,
    cluster = document ->> '$.entity.cluster',
    namespace = document ->> '$.entity.namespace',
    workload = document ->> '$.entity.workload',
    process = document ->> '$.entity.process';

-- What people decided about findings; the latest of a finding counts.
CREATE TABLE verdicts (uid VARCHAR NOT NULL, verdict VARCHAR NOT NULL, author VARCHAR NOT NULL, note VARCHAR NOT NULL,
                       at_ns BIGINT NOT NULL);
