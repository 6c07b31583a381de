"""`bench latency`'s strategy process: the real service, with the level strategy as one that runs in it."""

from services.cli.bench.latency.level_strategy import LevelStrategy
from services.strategy.bootstrap import build
from services.strategy.settings import Settings
from tradebus.runtime.shell import run_service
from tradebus.strategies.registry import BUILT_IN

if __name__ == "__main__":
    BUILT_IN[LevelStrategy.NAME] = LevelStrategy
    run_service("strategy", Settings, build)
