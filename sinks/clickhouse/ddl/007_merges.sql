-- Parts gather until ten of about one size are merged: a row is written again half as often as with the five that the
-- engine takes by default, and merging was more than half of the store's work. Reading meets a few parts more.
ALTER TABLE custody.events MODIFY SETTING merge_selector_base = 10;
ALTER TABLE custody.sessions MODIFY SETTING merge_selector_base = 10;
ALTER TABLE custody.progress MODIFY SETTING merge_selector_base = 10;
