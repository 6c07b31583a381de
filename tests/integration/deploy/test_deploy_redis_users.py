"""The Redis users as a server understands them: each may send what its service sends."""

import os
import subprocess
from pathlib import Path

import pytest
import redis

from services.gateway.relay import DEAD, TOLD
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.embedded import ServerUrls

MAKE_SECRETS = Path(__file__).parents[3] / "deploy" / "make-secrets"


@pytest.fixture
def server(servers: ServerUrls) -> redis.Redis:
    return redis.Redis.from_url(servers.redis_url, decode_responses=True)


def made(server: redis.Redis, folder: Path, name: str) -> str:
    """A user on the server with the rights of `name`'s; what it is called."""
    subprocess.run([MAKE_SECRETS, folder], check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    (line,) = [line for line in (folder / "redis_users").read_text().splitlines() if line.split()[1] == name]
    user = f"{name}_{RandomIds().new_id()[-8:]}"
    # Words outside brackets one by one, each pair of brackets whole, as in the file.
    words = [word.replace("\0", " ") for word in _whole(line).split()[2:]]
    server.execute_command("ACL", "SETUSER", user, *words)
    return user


def _whole(line: str) -> str:
    depth, out = 0, ""
    for sign in line:
        depth += (sign == "(") - (sign == ")")
        out += "\0" if sign == " " and depth else sign
    return out


def test_the_gateways_relay_may_read_all_its_streams_in_one_command(server: redis.Redis, tmp_path: Path) -> None:
    user = made(server, tmp_path / "secrets", "gateway")
    try:
        streams = (*TOLD, *DEAD)
        ids = [">"] * len(streams)
        read = ("XREADGROUP", "GROUP", "gateway", "1", "COUNT", 64, "BLOCK", 1, "STREAMS", *streams, *ids)
        assert server.execute_command("ACL", "DRYRUN", user, *read) == "OK"
        refused = server.execute_command("ACL", "DRYRUN", user, "XADD", "orders.v1", "*", "kind", "x")
        assert "no permissions" in refused, "the test asks a server that knows the rights"
    finally:
        server.execute_command("ACL", "DELUSER", user)
