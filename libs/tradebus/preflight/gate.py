"""What a gate is told, and what it says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tradebus.brokers.credentials import Credential
from tradebus.brokers.registry import Broker
from tradebus.config.brokers import BrokerSettings
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers
from tradebus.store.books import KillSwitchBook


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is what was found; `remedy` what a person does about it, "" where the gate is open."""

    gate: str
    said: str
    remedy: str = ""

    @property
    def passed(self) -> bool:
        return not self.remedy

    def __str__(self) -> str:
        return f"{self.gate}: {self.said}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """A gate's answer, before it has its name."""

    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What every gate may look at. `broker` is open and was asked nothing yet; `clock` is the market's, `timers` the
    machine's time; `daily_max_loss_r` what the session asks for, or the default of all; `switch` is
    None where no book of record is at hand."""

    name: str
    credential_name: str
    credential: Credential
    broker: Broker
    settings: BrokerSettings
    clock: Clock
    timers: Timers
    version: str
    daily_max_loss_r: float | None
    switch: KillSwitchBook | None

    @property
    def state_dir(self) -> Path:
        return self.settings.state_dir


# Raises TradebusError and OSError where it cannot find out: then it is closed.
PreflightGate = Callable[[Facts], Awaitable[GateAnswer]]
