"""The gateway's process."""

from tradebus.kernel.importing import uncollected


def main() -> None:
    with uncollected():
        from services.gateway.bootstrap import build
        from services.gateway.settings import GatewaySettings
        from tradebus.runtime.shell import run_service
    run_service("gateway", GatewaySettings, build)


if __name__ == "__main__":
    main()
