-- Every request to a broker and its reply, a chain per account (tradebus.audit.chain). Rows are added and never change.
CREATE TABLE broker_audit (
    account       text    NOT NULL,
    seq           bigint  NOT NULL,
    previous_hash text    NOT NULL,
    hash          text    NOT NULL,
    exchange_id   text    NOT NULL UNIQUE,      -- a spool that is taken in twice adds nothing the second time
    sent_by       text    NOT NULL,
    method        text    NOT NULL,
    url           text    NOT NULL,
    body          text    NOT NULL,
    sent_at       text    NOT NULL,             -- IST with its offset, as it is hashed
    session_id    text    NOT NULL,
    pos_id        text    NOT NULL,
    status        integer,
    reply         text    NOT NULL,
    reply_bytes   bigint  NOT NULL,
    reply_sha256  text    NOT NULL,
    problem       text    NOT NULL,
    answered_at   text    NOT NULL,
    PRIMARY KEY (account, seq)
);

CREATE INDEX broker_audit_sent ON broker_audit (sent_at);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'broker_audit is append only';
END
$$;

CREATE TRIGGER broker_audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON broker_audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
