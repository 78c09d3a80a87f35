"""A provider that takes more than its list says: the next hold is as large, so that a cap holds all the same."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.doubts import ANN, doubtful
from tests.pipeline.node import Node
from worker.audit import resolve
from worker.audit.chain import Check
from worker.audit.verify import verify

CHAIRS = [{"prompt": str(number)} for number in range(6)]


def cap_check(node: Node) -> Check:
    with node.services.database.engine.connect() as tx:
        return next(check for check in verify(tx).checks if check.name == "cap")


def committed(node: Node, name: str) -> int:
    found: int = node.query("SELECT committed FROM batch WHERE name = :name", name=name)[0]["committed"]
    return found


@pytest.fixture
def dear(node: Node, sandbox: Provider) -> Node:
    """Return a node that has seen the provider take 6 for an image that costs 4."""
    sandbox.set(price_delta=2)
    node.submit({"prompt": "The first"}, name="first")
    node.run_until_quiet()
    return node


def test_the_next_hold_is_what_the_provider_last_reserved(dear: Node, sandbox: Provider) -> None:
    dear.submit({"prompt": "The second"})
    dear.run_until_quiet()

    assert dear.entries()[4:] == [("hold", 6), ("reserve", 6), ("settle", 6)]
    books.check_all_done(dear, sandbox)


def test_a_cap_is_not_overrun_once_the_price_is_known(dear: Node) -> None:
    dear.submit(*CHAIRS, name="capped", credit_cap=20)
    dear.run_until_quiet()

    assert committed(dear, "capped") == 18
    assert (cap_check(dear).ok, cap_check(dear).notes) == (True, ())


def test_a_price_that_falls_again_is_followed(dear: Node, sandbox: Provider) -> None:
    sandbox.set(price_delta=0)
    dear.submit({"prompt": "The second"})
    dear.run_until_quiet()
    dear.submit({"prompt": "The third"})
    dear.run_until_quiet()

    assert dear.entries()[4:] == [
        ("hold", 6),
        ("reserve", 4),
        ("trim", 2),
        ("settle", 4),
        ("hold", 4),
        ("reserve", 4),
        ("settle", 4),
    ]


def test_an_overrun_beyond_the_known_price_is_noted_and_permitted(node: Node, sandbox: Provider) -> None:
    sandbox.set(price_delta=2)
    node.limit(rate=40.0)
    node.submit(*CHAIRS, name="capped", credit_cap=24)
    node.run_until_quiet()

    (note,) = cap_check(node).notes
    assert cap_check(node).ok
    assert (note["over_by"], note["top_ups"], note["excused"]) == (committed(node, "capped") - 24, 12, 12)


def test_an_overrun_that_could_be_known_is_named(dear: Node) -> None:
    dear.submit(*CHAIRS, name="capped", credit_cap=40)
    dear.clock.advance(timedelta(minutes=1))
    dear.run_until_quiet()
    lowered = "UPDATE batch SET credit_cap = 30 WHERE name = 'capped' RETURNING id"
    dear.query(lowered)

    found: list[dict[str, Any]] = [dict(example) for example in cap_check(dear).examples]

    assert [(each["over_by"], each["excused"]) for each in found] == [(6, 0)]


def test_the_price_of_a_task_that_a_person_adopts_is_that_of_the_next_hold(node: Node, sandbox: Provider) -> None:
    sandbox.set(price_delta=2)
    node.submit({"prompt": "The first"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()

    resolve.adopt(node.services, doubtful(node), sandbox.tasks()[0]["id"], ANN, may_be_misdated=True)
    node.submit({"prompt": "The second"})
    node.run_until_quiet()

    assert node.query("SELECT held FROM generation ORDER BY id") == [{"held": 4}, {"held": 6}]
    books.check_all_done(node, sandbox)
