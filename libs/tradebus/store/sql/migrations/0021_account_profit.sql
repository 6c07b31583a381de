-- What an account has made today: ours, the broker's own figure beside it, and where they differ. JSON; null: not looked at.
ALTER TABLE account_standings ADD COLUMN profit text;
