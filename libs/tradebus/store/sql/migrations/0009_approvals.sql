-- Execution looks every few seconds for approvals that nobody took: those of sessions, without their other events.
CREATE INDEX events_approvals ON events (session_id) WHERE type IN ('ENTRY_APPROVED', 'ENTRY_REDUCED', 'EXIT_APPROVED');
