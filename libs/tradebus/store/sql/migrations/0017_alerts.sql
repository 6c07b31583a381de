-- What each sink of alerts has been told: from when on, and which events. One instance at a time tells a sink.
CREATE TABLE alert_sinks (
    sink          text PRIMARY KEY,             -- its name, and a number that is new whenever it is configured
    since_ns      bigint NOT NULL,              -- events recorded before are told, or were never its concern
    held_by       text NOT NULL,
    held_until_ns bigint NOT NULL
);
CREATE TABLE alert_deliveries (
    sink     text NOT NULL,
    event_id text NOT NULL,
    told_ns  bigint NOT NULL,
    PRIMARY KEY (sink, event_id)
);
CREATE INDEX events_alerts ON events (((body ->> 'ts_recorded_ns')::bigint))
WHERE type IN ('POSITION_UNPROTECTED', 'RECONCILE_MISMATCH', 'KILL_SWITCH', 'SESSION_FAILED', 'SESSION_HALTED',
               'SQUARE_OFF_FORCED', 'STRATEGY_FAILED', 'ENTRY_AWAITS_APPROVAL');
