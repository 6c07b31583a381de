"""What a strategy file says of itself, found out in a process of its own: for who must not run it.

Blocking, for a worker thread: at most `limits.start_seconds`, and two at a time.
"""

import subprocess
import threading

from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.isolation.process import ProcessEnded, command, environment, opened
from tradebus.runtime.isolation.wire import HEADER_BYTES, frame
from tradebus.strategies.info import StrategyInfo

_turns = threading.BoundedSemaphore(2)


def inspect_file(spec: StrategySpec, limits: IsolationLimits) -> StrategyInfo:
    """Raises InvalidInput (ParametersRefused for a bad parameter) where the file cannot trade, whatever it does."""
    seconds = limits.start_seconds
    request = frame(["open", spec.path, spec.name, spec.parameters, limits.cpu_seconds(seconds)])
    where = f"strategy file {spec.path}"
    with _turns:
        try:
            done = subprocess.run(
                command(limits), input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(),
                timeout=seconds, check=False, start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InvalidInput(f"{where}: took longer than {seconds:g} s to load") from None
    if len(done.stdout) <= HEADER_BYTES:
        how = f"exit code {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
        raise InvalidInput(f"{where}: ends its own process when it is loaded ({how})")
    try:
        return opened(done.stdout[HEADER_BYTES:], spec)
    except ProcessEnded as error:
        raise InvalidInput(f"{where}: {error}") from error
