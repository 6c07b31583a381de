"""Rules of the market that a person sets over the shipped ones, from a file, without a release.

A process calls `install_market_rules` in its first lines, before it asks the calendar anything: the calendar itself
reads no setting.
"""

from datetime import date
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tradebus.calendar.located_json import Path as JsonPath
from tradebus.calendar.located_json import line_of
from tradebus.calendar.rows import DayRow
from tradebus.calendar.rules import SHIPPED, TABLES, RuleBook, Tables, idle_rows, install, merged, parse_tables
from tradebus.config.settings import load_settings
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date

_BYTES_MAX = 4_000_000


class MarketRulesSettings(BaseSettings):
    """Where the file lies; the shipped rules alone hold where none is named."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    market_rules: Path | None = Field(default=None, validation_alias="TRADEBUS_MARKET_RULES")


def install_market_rules() -> Path | None:
    """Reads the file that TRADEBUS_MARKET_RULES names, and makes its rules this process's; its path, None where none is
    named. Raises InvalidInput naming the file, and the line where one is to blame."""
    path = load_settings(MarketRulesSettings).market_rules
    if path is None or str(path) in ("", "."):  # set to nothing, as compose does
        return None
    install(read_market_rules(path, today=ist_date(WallClock().now_ns())))
    return path


def read_market_rules(path: Path, *, today: date) -> RuleBook:
    """The shipped rules with those of the file over them. Raises InvalidInput as `install_market_rules`, also where a
    row says that somebody looked at its source after `today`: it would not be told as stale for so long."""
    name = f"TRADEBUS_MARKET_RULES: {path}"
    try:
        if not path.is_file():
            raise InvalidInput(f"{name} is no file")
        if path.stat().st_size > _BYTES_MAX:
            raise InvalidInput(f"{name} is larger than {_BYTES_MAX:,} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(f"{name} cannot be read: {reason}") from None
    tables, lines = parse_tables(text, name=name)
    _check_looked_at(tables, lines, name, today=today)
    idle = [f"line {lines[table, number]}: {why}" for table, number, why in idle_rows(SHIPPED.tables, tables)]
    if idle:
        raise InvalidInput(f"{name}, {'; '.join(idle)}")
    try:
        return RuleBook.of(merged(SHIPPED.tables, tables))
    except ValueError as error:
        raise InvalidInput(f"{name}{_line_of_day(str(error), tables, lines)}: {error}") from None


def _check_looked_at(tables: Tables, lines: dict[JsonPath, int], name: str, *, today: date) -> None:
    for table in TABLES:
        for number, row in enumerate(tables.rows(table)):
            if row.last_checked > today:
                own: JsonPath = (table, number, "last_checked")
                line = line_of(lines, own if own in lines else ("last_checked",))
                raise InvalidInput(
                    f"{name}, line {line}: last_checked: {row.last_checked} is still to come; it is the day on which "
                    f"somebody last looked at the source, today ({today}) at the latest"
                )


def _line_of_day(problem: str, tables: Tables, lines: dict[JsonPath, int]) -> str:
    """Where the row of the day stands that the problem begins with."""
    for table in TABLES:
        for number, row in enumerate(tables.rows(table)):
            if isinstance(row, DayRow) and problem.startswith(str(row.date)):
                return f", line {lines[table, number]}"
    return ""
