"""What a run says about its history file before it begins."""

from services.cli.output import say
from tradebus.history.validate import HistorySummary


def say_summary(name: str, summary: HistorySummary) -> None:
    """How much it holds, then what was taken for what and what to doubt, a line each."""
    say(f"{name}: {summary}")
    for line in summary.said:
        say(f"  {line}")
