"""The sandbox's process: python -m services.sandbox.main"""

from tradebus.kernel.importing import uncollected


def main() -> None:
    with uncollected():
        from services.sandbox.bootstrap import build_sandbox
        from services.sandbox.settings import SandboxSettings
        from tradebus.runtime.shell import run_alone
    run_alone("sandbox", SandboxSettings, build_sandbox)


if __name__ == "__main__":
    main()
