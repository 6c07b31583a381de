"""The gates, in the order in which they are told."""

from collections.abc import Mapping

from tradebus.preflight.gate import PreflightGate
from tradebus.preflight.gates import (
    account_name,
    algo_id,
    clock_skew,
    credentials_file,
    drill,
    fresh_token,
    kill_switch,
    market_rules,
    protection,
    risk_limits,
    session_day,
    static_ip,
)

GATES: Mapping[str, PreflightGate] = {
    "credentials_file": credentials_file.ask,
    "fresh_token": fresh_token.ask,
    "account_name": account_name.ask,
    "static_ip": static_ip.ask,
    "clock_skew": clock_skew.ask,
    "algo_id": algo_id.ask,
    "session_day": session_day.ask,
    "market_rules": market_rules.ask,
    "protection": protection.ask,
    "risk_limits": risk_limits.ask,
    "kill_switch": kill_switch.ask,
    "drill": drill.ask,
}
