"""Which requests come from our own pages, and which peers are trusted."""

import pytest

from worker.core.rules.setting_values import parse_networks
from worker.web.rules import origins
from worker.web.rules.origins import Network

OWN = "https://darkroom.example"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_request_that_changes_nothing_may_come_from_anywhere(method: str) -> None:
    assert origins.is_own(method, site="cross-site", origin="https://evil.example", own=OWN)


@pytest.mark.parametrize(
    ("site", "origin", "is_own"),
    [
        ("same-origin", None, True),
        ("none", None, True),
        ("same-site", OWN, False),
        ("cross-site", OWN, False),
        (None, OWN, True),
        (None, "https://evil.example", False),
        (None, None, False),
    ],
)
def test_a_change_has_to_come_from_our_own_page(site: str | None, origin: str | None, is_own: bool) -> None:  # noqa: FBT001
    assert origins.is_own("POST", site=site, origin=origin, own=OWN) is is_own


def networks(text: str) -> tuple[Network, ...]:
    found = parse_networks(text)
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(
    ("address", "is_within"),
    [("10.1.2.3", True), ("11.1.2.3", False), ("fd00::1", True), ("fe80::1", False), (None, False), ("unix", False)],
)
def test_a_proxy_is_trusted_by_its_address(address: str | None, is_within: bool) -> None:  # noqa: FBT001
    assert origins.is_within(address, networks("10.0.0.0/8, fd00::/8,")) is is_within


def test_without_a_list_nobody_is_trusted() -> None:
    assert not origins.is_within("127.0.0.1", networks(""))


def test_networks_that_are_read_already_stay_as_they_are() -> None:
    read = networks("127.0.0.1")

    assert parse_networks(read) is read


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"proxy\.example"):
        parse_networks("proxy.example")


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("localhost", True), ("127.0.0.1", True), ("[::1]", True), ("0.0.0.0", False), ("::", False), ("host", False)],
)
def test_the_loopback_is_known_by_its_addresses(host: str, is_loopback: bool) -> None:  # noqa: FBT001
    assert origins.is_loopback(host) is is_loopback


def test_an_origin_is_scheme_host_and_port_in_small_letters() -> None:
    assert origins.origin_of("https://Darkroom.example:8443/") == "https://darkroom.example:8443"


@pytest.mark.parametrize("path", ["/", "/batches", "/search?q=%2F%2Fevil.example&kind=key", "/batches/a//b"])
def test_a_path_of_this_server_is_kept_as_it_is(path: str) -> None:
    assert origins.own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "batches",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/a b",
        "/é",
        "/" + "a" * 2_000,
    ],
)
def test_what_may_lead_elsewhere_is_no_path_of_this_server(path: str) -> None:
    assert origins.own_path(path) is None


@pytest.mark.parametrize(
    ("header", "is_there"),
    [("LocalHost", True), ("127.0.0.1:8780", True), ("[::1]:80", True), ("[::1]", True), ("evil.example:8780", False)],
)
def test_a_host_is_known_by_its_name_whatever_its_port(header: str, *, is_there: bool) -> None:
    assert origins.has_host(header, ("localhost", "127.0.0.1", "[::1]")) is is_there
