"""What answers say of the limit, to one of two nodes and wrongly, neither stops the account nor has it go too fast."""

import math
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.dispatch.test_pace import refused_creates
from tests.pipeline.hooked import HookedClient
from tests.pipeline.node import Node

SECOND = timedelta(seconds=1)
JOBS = 50
LEAST = 30
"""In two minutes, of which one may be waited for in vain."""

WRONG = {
    "garbage": {"RateLimit": "\xff;;r==;t", "X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "-30"},
    "huge": {"RateLimit": '"default";r=0;t=999999999'},
    "contradictory": {"RateLimit": '"default";r=99999;t=1', "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "86400"},
    "plenty": {"X-RateLimit-Limit": "100000", "X-RateLimit-Remaining": "99999", "X-RateLimit-Reset": "0"},
}


def hears(node: Node, headers: dict[str, str]) -> None:
    assert isinstance(node.services.client, HookedClient)
    node.services.client.limit_headers = headers


def work(nodes: list[Node], sandbox: Provider, span: timedelta) -> None:
    """Let the nodes work in turns while the provider's clock moves with theirs."""
    clock = nodes[0].clock
    ends_at = clock.now + span
    while clock.now < ends_at:
        for node in nodes:
            before = clock.now
            node.run_for(SECOND)
            sandbox.advance((clock.now - before).total_seconds())


@pytest.mark.parametrize("case", WRONG)
def test_wrong_words_to_one_of_two_nodes_neither_stop_the_account_nor_overrun_its_limit(
    case: str, node_for: NodeFor, sandbox: Provider
) -> None:
    sandbox.set(rate_limit=20, rate_window_s=10)
    misled, other = node_for(), node_for()
    hears(misled, WRONG[case])
    misled.limit(rate=2.0)
    before = refused_creates(sandbox)
    misled.submit(*({"prompt": str(n)} for n in range(JOBS)))

    work([misled, other], sandbox, timedelta(minutes=2))

    assert len(sandbox.tasks()) >= LEAST
    assert refused_creates(sandbox) - before <= 2
    sandbox.set(rate_limit=0)
    misled.run_until_quiet()
    books.check_all_done(misled, sandbox)


def test_a_limit_that_is_said_rightly_costs_a_refusal_when_it_is_probed_and_no_more(
    node: Node, sandbox: Provider
) -> None:
    """After a minute one create finds that the limit is there; its 429 is believed until the reset."""
    sandbox.set(rate_limit=3, rate_window_s=600, rate_headers=True, rate_per_endpoint=True)
    before = refused_creates(sandbox)
    node.submit(*({"prompt": str(n)} for n in range(12)))

    work([node], sandbox, timedelta(minutes=15))

    # A quarter of an hour has one window whole and two in part; of the last one only the first create may be out.
    assert 6 <= len(sandbox.tasks()) <= 9
    assert refused_creates(sandbox) - before <= math.ceil(len(sandbox.tasks()) / 3)
