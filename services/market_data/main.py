"""The feed's process."""

from tradebus.kernel.importing import uncollected


def main() -> None:
    with uncollected():
        from services.market_data.bootstrap import build
        from services.market_data.settings import MarketDataSettings
        from tradebus.runtime.shell import run_service
    run_service("market_data", MarketDataSettings, build, several=True)  # one feeds, the others stand by


if __name__ == "__main__":
    main()
