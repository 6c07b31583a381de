"""`python -m services.risk.main`"""

from tradebus.kernel.importing import uncollected


def main() -> None:
    """Runs the risk service until it is told to stop."""
    with uncollected():
        from services.risk.bootstrap import build
        from services.risk.settings import RiskSettings
        from tradebus.runtime.shell import run_service
    run_service("risk", RiskSettings, build)


if __name__ == "__main__":
    main()
