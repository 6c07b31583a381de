"""Ports for services that are started a moment later, on a machine where others open connections meanwhile."""

import socket
from contextlib import suppress
from pathlib import Path

from services.cli.stack.children import free_port

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")  # Linux


def test_a_port_handed_out_is_none_that_an_outgoing_connection_can_get_before_its_service_listens() -> None:
    first_outgoing = int(OUTGOING.read_text().split()[0]) if OUTGOING.exists() else 49_152
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports), "nobody listens on the first ones yet"
    assert 1024 < min(ports) <= max(ports) < first_outgoing


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    taken = free_port() + 1  # the one that comes next
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        with suppress(OSError):  # somebody else listens on it
            listener.bind(("127.0.0.1", taken))
            listener.listen()
        assert taken not in [free_port() for _ in range(3)]
