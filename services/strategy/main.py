"""`python -m services.strategy.main`: the strategy service."""

from tradebus.kernel.importing import uncollected


def main() -> None:
    with uncollected():
        from services.strategy.bootstrap import build
        from services.strategy.settings import Settings
        from tradebus.runtime.shell import run_service
    run_service("strategy", Settings, build)


if __name__ == "__main__":
    main()
