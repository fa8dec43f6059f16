-- A merge writes every row anew and costs the store more than its INSERT did, however many parts it takes at once: so parts
-- of one size gather until about thirty are merged. The engine lowers this base with the number and the age of parts, from
-- 60 to about 30 where thirty of one size lie there.
ALTER TABLE custody.events MODIFY SETTING merge_selector_base = 60;
ALTER TABLE custody.sessions MODIFY SETTING merge_selector_base = 60;
