-- When a watermark was set, by this computer's clock: it is believed no further than the time that has passed since.
ALTER TABLE pipelines ADD COLUMN watermark_set INTEGER;
ALTER TABLE imports ADD COLUMN began_at INTEGER;

-- The property that holds a record's Salesforce id in HubSpot; none where it is the one that the pipeline had first.
ALTER TABLE pipelines ADD COLUMN match_property TEXT;
ALTER TABLE links ADD COLUMN match_property TEXT;
