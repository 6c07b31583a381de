-- Legs that are one idea: their trades carry one group id, and so do the decisions that entered or left them.
ALTER TABLE trades ADD COLUMN group_id text;
CREATE INDEX trades_group_id ON trades (group_id) WHERE group_id IS NOT NULL;

-- One place for each decision of the row; null where none of them is about legs. (`group_id` is the row's own number.)
ALTER TABLE decision_groups ADD COLUMN leg_groups text[];

CREATE OR REPLACE VIEW decisions AS
SELECT DISTINCT ON (session_id, strategy, instrument_id, ts_event_ns)
       session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise, leg_group AS group_id
FROM (
    SELECT g.group_id, g.session_id, g.strategies[r.strategy] AS strategy, r.instrument_id, r.ts_event_ns,
           g.actions[r.action] AS action, g.reasons[r.reason] AS reason, r.price_paise, r.number,
           g.leg_groups[r.number] AS leg_group
    FROM decision_groups g,
         unnest(g.strategy, g.instrument_id, g.ts_event_ns, g.action, g.reason, g.price_paise) WITH ORDINALITY
             AS r (strategy, instrument_id, ts_event_ns, action, reason, price_paise, number)
) decided
ORDER BY session_id, strategy, instrument_id, ts_event_ns, decided.group_id, number;
