"""The gateway's process."""

from services.gateway.bootstrap import build
from services.gateway.settings import GatewaySettings
from tradebus.runtime.shell import run_service


def main() -> None:
    run_service("gateway", GatewaySettings, build)


if __name__ == "__main__":
    main()
