"""The HTTP API's process."""

from services.market_data.bootstrap import build_api
from services.market_data.settings import ApiSettings
from tradebus.runtime.shell import run_service


def main() -> None:
    run_service("market_data_api", ApiSettings, build_api)


if __name__ == "__main__":
    main()
