"""`python -m services.execution.main`"""

from tradebus.kernel.importing import uncollected


def main() -> None:
    """Runs the execution service until it is told to stop."""
    with uncollected():
        from services.execution.bootstrap import build
        from services.execution.settings import ExecutionSettings
        from tradebus.runtime.shell import run_service
    run_service("execution", ExecutionSettings, build)


if __name__ == "__main__":
    main()
