-- Why people killed again while the switch was engaged: [{"reason": …, "at_ns": …}], the oldest first.
ALTER TABLE kill_switch ADD COLUMN further jsonb NOT NULL DEFAULT '[]';
