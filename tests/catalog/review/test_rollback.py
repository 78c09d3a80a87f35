"""What was live at an instant is live again, without a credit: as a whole or for some items."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.catalog.team import Team
from worker.catalog.publishing import CannotRollBack, RolledBack, roll_back

STORED = """
    SELECT i.sku, f.path FROM catalog_item i JOIN catalog_render r ON r.id = i.live_render_id
    JOIN result f ON f.job_id = r.job_id"""
TWO = {"a": "red", "b": "blue"}


def back(team: Team, to: object, *skus: str) -> RolledBack:
    return roll_back(
        team.node.services.database,
        team.node.services.store,
        team.catalog.id,
        to=to,  # type: ignore[arg-type]  # an id or an instant
        skus=skus or None,
        by="rita",
        now=team.clock(),
        new_id=team.node.services.new_id,
    )


def test_a_rollback_leaves_out_an_image_that_the_store_has_lost(team: Team) -> None:
    team.stock(TWO)
    team.refresh()
    instant = team.clock()
    old = {row["sku"]: row["path"] for row in team.node.query(STORED)}
    team.wait(days=1)
    team.stock({"a": "green", "b": "green"})
    team.refresh()
    team.lose(old["a"])

    done = back(team, instant)

    assert (done.changed, done.lost) == (("b",), ("a",))
    assert team.live()["a"] == "A green mug on a table"


def test_a_rollback_to_an_instant_shows_what_was_live_then_and_spends_nothing(team: Team) -> None:
    team.stock(TWO)
    team.refresh()
    instant = team.clock()
    first = team.live_renders()
    team.wait(days=1)
    team.stock({"a": "green", "b": "blue", "c": "grey"})
    team.refresh()
    spent = team.spent()

    done = back(team, instant)

    assert (done.changed, done.unchanged, done.without) == (("a",), ("b",), ("c",))
    assert team.live_renders() | {"c": None} == {**first, "c": None}
    assert team.spent() == spent


def test_what_was_brought_back_is_kept_until_its_content_changes(team: Team) -> None:
    team.stock(TWO)
    team.refresh()
    instant = team.clock()
    team.wait(days=1)
    team.stock({**TWO, "a": "green"})
    team.refresh()
    back(team, instant)

    kept = team.planned()
    team.stock({**TWO, "a": "yellow"})

    assert kept == {}
    assert team.planned() == {"a": ["prompt changed"]}


def test_a_rollback_can_be_taken_back(team: Team) -> None:
    team.stock(TWO)
    team.refresh()
    instant = team.clock()
    team.wait(days=1)
    team.stock({**TWO, "a": "green"})
    team.refresh()
    newest = team.live_renders()["a"]
    back(team, instant, "a")
    team.wait(days=1)

    back(team, newest)

    assert team.live_renders()["a"] == newest
    assert team.node.query("SELECT kept_fingerprint FROM catalog_item WHERE sku = 'a'") == [{"kept_fingerprint": None}]


def test_an_image_that_was_in_progress_at_a_rollback_waits_for_a_person(team: Team) -> None:
    """It is made from what a person has just rejected: it does not come back by itself."""
    team.stock(TWO)
    team.refresh()
    instant = team.clock()
    team.wait(days=1)
    team.stock({**TWO, "a": "green"})
    team.refresh()
    team.apply(team.plan(forced=["a"]).id)
    back(team, instant, "a")
    team.wait(minutes=1)

    team.render()

    assert team.live()["a"] == "A red mug on a table"
    assert list(team.candidates()) == ["a"]


def test_a_rollback_of_one_item_leaves_the_others(team: Team) -> None:
    team.stock(TWO)
    team.refresh()
    instant = team.clock()
    team.wait(days=1)
    team.stock({"a": "green", "b": "green"})
    team.refresh()

    back(team, instant, "b")

    assert team.live() == {"a": "A green mug on a table", "b": "A blue mug on a table"}


@pytest.mark.parametrize(
    ("to", "skus"),
    [
        (UUID(int=1), ()),
        (timedelta(days=1), ()),
        (timedelta(0), ("nothing like that",)),
    ],
)
def test_there_must_be_something_to_go_back_to(team: Team, to: object, skus: tuple[str, ...]) -> None:
    team.stock(TWO)
    team.refresh()
    target = team.clock() + to if isinstance(to, timedelta) else to

    with pytest.raises(CannotRollBack):
        back(team, target, *skus)
