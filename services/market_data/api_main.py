"""The HTTP API's process."""

from tradebus.kernel.importing import uncollected


def main() -> None:
    with uncollected():
        from services.market_data.http.bootstrap import build_api
        from services.market_data.settings import ApiSettings
        from tradebus.runtime.shell import run_service
    run_service("market_data_api", ApiSettings, build_api, several=True)


if __name__ == "__main__":
    main()
