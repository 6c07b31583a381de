"""`python -m services.strategy.main`: the strategy service."""

from services.strategy.bootstrap import build
from services.strategy.settings import Settings
from tradebus.runtime.shell import run_service


def main() -> None:
    run_service("strategy", Settings, build)


if __name__ == "__main__":
    main()
