"""Which values name a span of a producer's, by W3C Trace Context."""

import pytest

from worker.core.rules import traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "value",
    [GOOD, f" {GOOD}\n", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"],
    ids=["as it is", "with spaces around", "of a later version", "of a later version, with more"],
)
def test_a_traceparent_is_read_as_version_00(value: str) -> None:
    assert traceparent.parse(value) == GOOD


@pytest.mark.parametrize(
    "value",
    [
        None,
        17,
        "",
        "garbage",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 600}",
    ],
)
def test_anything_else_is_none(value: object) -> None:
    assert traceparent.parse(value) is None
