-- What lists of findings show and add up without reading a document.
ALTER TABLE findings ADD COLUMN headline VARCHAR DEFAULT '';
ALTER TABLE findings ADD COLUMN risk_object VARCHAR DEFAULT '';
ALTER TABLE findings ADD COLUMN risk_object_type VARCHAR DEFAULT '';
UPDATE findings SET
    headline = document ->> '$.headline',
    risk_object = document ->> '$.risk.object',
    risk_object_type = document ->> '$.risk.object_type';
