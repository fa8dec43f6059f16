-- Rows under a legal hold leave their day for the class `held`; this says which class they are of.
ALTER TABLE custody.events ADD COLUMN IF NOT EXISTS held_from LowCardinality(String) COMMENT 'Class of a row that a legal hold moved to the class held; else empty';
ALTER TABLE custody.sessions ADD COLUMN IF NOT EXISTS held_from LowCardinality(String) COMMENT 'Class of a row that a legal hold moved to the class held; else empty';
ALTER TABLE custody.detections ADD COLUMN IF NOT EXISTS held_from LowCardinality(String) COMMENT 'Class of a row that a legal hold moved to the class held; else empty';
ALTER TABLE custody.lineage ADD COLUMN IF NOT EXISTS held_from LowCardinality(String) COMMENT 'Class of a row that a legal hold moved to the class held; else empty';
ALTER TABLE custody.deliveries ADD COLUMN IF NOT EXISTS held_from LowCardinality(String) COMMENT 'Class of a row that a legal hold moved to the class held; else empty';
-- What an erasure or a merge leaves behind goes from the disk within about half a minute. Inserts and merges are forced to
-- disk before they count, so the old parts are not needed against the loss of power.
ALTER TABLE custody.events MODIFY SETTING old_parts_lifetime = 10;
ALTER TABLE custody.sessions MODIFY SETTING old_parts_lifetime = 10;
ALTER TABLE custody.detections MODIFY SETTING old_parts_lifetime = 10;
ALTER TABLE custody.lineage MODIFY SETTING old_parts_lifetime = 10;
ALTER TABLE custody.deliveries MODIFY SETTING old_parts_lifetime = 10;
