-- Limits over several sessions: "all", or "account NAME". What holds now, and what the desk's file said when it was last
-- taken over.
CREATE TABLE shared_limits (
    scope       text PRIMARY KEY,
    limits      jsonb NOT NULL,
    file_limits jsonb
);

-- Who changed what of them, when and why. Rows are added and never altered.
CREATE TABLE shared_limit_changes (
    change_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope        text NOT NULL,
    changed_ns   bigint NOT NULL,
    changed_by   text NOT NULL,
    field        text NOT NULL,                   -- as in the contract, money in paise
    before_value jsonb NOT NULL,
    after_value  jsonb NOT NULL,
    widens       boolean NOT NULL,
    reason       text NOT NULL,
    command_id   text NOT NULL
);
