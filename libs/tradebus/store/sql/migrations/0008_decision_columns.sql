-- The decision journal in columns: what a session decided between two flushes is one row of arrays. `decisions` shows
-- it as before, a row for each decision.
ALTER TABLE decisions RENAME TO decisions_by_row;

CREATE TABLE decision_groups (
    group_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id    text NOT NULL,
    ts_last_ns    bigint NOT NULL,
    -- What repeats is kept once; the columns hold its place, from 1.
    strategies    text[] NOT NULL,
    actions       text[] NOT NULL,
    reasons       text[] NOT NULL,
    strategy      integer[] NOT NULL,
    instrument_id integer[] NOT NULL,
    ts_event_ns   bigint[] NOT NULL,
    action        integer[] NOT NULL,
    reason        integer[] NOT NULL,
    price_paise   bigint[] NOT NULL
);
CREATE INDEX ON decision_groups (session_id, ts_last_ns);

-- One row for each decision. Decided again after a crash, the one that was stored first counts.
CREATE VIEW decisions AS
SELECT DISTINCT ON (session_id, strategy, instrument_id, ts_event_ns)
       session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise
FROM (
    SELECT g.group_id, g.session_id, g.strategies[r.strategy] AS strategy, r.instrument_id, r.ts_event_ns,
           g.actions[r.action] AS action, g.reasons[r.reason] AS reason, r.price_paise, r.number
    FROM decision_groups g,
         unnest(g.strategy, g.instrument_id, g.ts_event_ns, g.action, g.reason, g.price_paise) WITH ORDINALITY
             AS r (strategy, instrument_id, ts_event_ns, action, reason, price_paise, number)
) decided
ORDER BY session_id, strategy, instrument_id, ts_event_ns, group_id, number;

INSERT INTO decision_groups (session_id, ts_last_ns, strategies, actions, reasons, strategy, instrument_id, ts_event_ns,
                             action, reason, price_paise)
SELECT session_id, max(ts_event_ns), array_agg(strategy ORDER BY number), array_agg(action ORDER BY number),
       array_agg(reason ORDER BY number), array_agg(number ORDER BY number), array_agg(instrument_id ORDER BY number),
       array_agg(ts_event_ns ORDER BY number), array_agg(number ORDER BY number), array_agg(number ORDER BY number),
       array_agg(price_paise ORDER BY number)
FROM (
    SELECT *, (row_number() OVER (PARTITION BY session_id, strategy, ts_event_ns / 3600000000000
                                  ORDER BY ts_event_ns, instrument_id))::integer AS number
    FROM decisions_by_row
) numbered
GROUP BY session_id, strategy, ts_event_ns / 3600000000000;

DROP TABLE decisions_by_row;
