"""Addresses at which something listens, as settings write them."""

import pytest

from worker.core.rules.addresses import parse_listen


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:80", ("::1", 80)), (" node:1 ", ("node", 1)), ("off", None)],
)
def test_a_host_and_a_port_are_read_and_off_is_none(text: str, found: object) -> None:
    assert parse_listen(text) == found


@pytest.mark.parametrize("text", ["9464", "127.0.0.1", "127.0.0.1:65536", "a b:1", "::1:80", ""])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_listen(text)


def test_what_is_read_already_stays() -> None:
    assert parse_listen(("127.0.0.1", 1)) == ("127.0.0.1", 1)
