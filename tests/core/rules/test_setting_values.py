"""A value of a setting is read whole, or refused with the reason."""

import pytest

from worker.core.rules.setting_values import COMMAND_NAME, parse_command, parse_hosts, parse_listen


@pytest.mark.parametrize(
    ("line", "words"),
    [("deploy", ("deploy",)), ("/bin/sh -c 'echo a b'", ("/bin/sh", "-c", "echo a b")), (["a", "b"], ["a", "b"])],
)
def test_a_command_line_is_split_as_a_shell_does_and_words_stay_as_they_are(line: object, words: object) -> None:
    assert parse_command(line) == words


@pytest.mark.parametrize(("line", "reason"), [("", "is empty"), ("  ", "is empty"), ("echo 'a", "cannot be read: ")])
def test_a_command_line_that_is_none_says_why(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_command(line)


@pytest.mark.parametrize(
    ("listed", "hosts"),
    [
        ("", set()),
        ("shop.internal:443", {("shop.internal", 443)}),
        (" Shop:1, [FD00::1]:65535,, ", {("shop", 1), ("fd00::1", 65_535)}),
        (frozenset({("shop", 1)}), {("shop", 1)}),
    ],
)
def test_hosts_are_separated_by_commas_and_compared_whatever_their_case(listed: object, hosts: object) -> None:
    assert parse_hosts(listed) == hosts


@pytest.mark.parametrize("listed", ["shop", "shop:", ":443", "shop:http", "shop:0", "shop:65536", "shop:-1"])
def test_a_host_without_a_port_that_can_be_connected_to_is_refused(listed: str) -> None:
    with pytest.raises(ValueError, match="is not a host with a port"):
        parse_hosts(listed)


@pytest.mark.parametrize(("name", "is_name"), [("deploy-2.sh", True), ("-x", False), ("a b", False), ("a/b", False)])
def test_a_command_is_called_by_a_word_that_no_path_and_no_option_can_be(
    name: str,
    is_name: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert bool(COMMAND_NAME.fullmatch(name)) is is_name


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:80", ("::1", 80)), (" node:1 ", ("node", 1)), ("off", None)],
)
def test_a_host_and_a_port_are_read_and_off_is_none(text: str, found: object) -> None:
    assert parse_listen(text) == found


@pytest.mark.parametrize("text", ["9464", "127.0.0.1", "127.0.0.1:65536", "a b:1", "::1:80", ""])
def test_an_address_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_listen(text)


def test_an_address_that_is_read_already_stays() -> None:
    assert parse_listen(("127.0.0.1", 1)) == ("127.0.0.1", 1)
