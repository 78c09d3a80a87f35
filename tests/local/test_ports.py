"""A server gets a free loopback port, and its former one where that is possible."""

import socket
from collections.abc import Iterator

import pytest

from worker.local import ports


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port with a listener."""
    with socket.create_server((ports.HOST, 0)) as server:
        yield server.getsockname()[1]


def test_the_former_port_comes_first_when_it_is_free() -> None:
    free = next(ports.candidates(None))

    assert next(ports.candidates(free)) == free


def test_a_former_port_that_is_taken_is_left_out(taken: int) -> None:
    assert taken not in list(ports.candidates(taken))


def test_a_port_with_a_listener_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)


def test_several_ports_are_offered_since_another_process_may_be_quicker() -> None:
    offered = list(ports.candidates(None))

    assert len(offered) == ports.ATTEMPTS
    assert {each in ports.RANGE for each in offered} == {True}
