"""Why positions are closed where not a strategy but somebody above it asks: one word each, in risk's verdicts, in the
intents, in execution's orders and in the ledger alike."""

KILL_SWITCH = "kill_switch"
STOP_TRADING = "stop_trading"
FLATTEN = "flatten"
