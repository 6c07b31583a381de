"""Starts the embedded servers in a folder, says where they are, and waits. Run, and killed, by tests."""

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tradebus.runtime.embedded import EmbeddedServers

with EmbeddedServers(Path(sys.argv[1])) as urls:
    print(json.dumps(asdict(urls)), flush=True)
    if "fork" in sys.argv:
        forked = os.fork()
        if forked == 0:
            time.sleep(3600)  # a child that has our pipe and outlives us
        print(forked, flush=True)
    sys.stdin.read()
