"""A plan outlives what happens by itself, and nothing that would make it do something else."""

from tests.catalog.team import THREE, Team, accept, reject


def test_a_plan_stays_true_while_what_it_keeps_is_rendered_looked_at_and_goes_live(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    reviewing.apply(reviewing.plan().id)
    reviewing.stock(THREE)
    made = reviewing.plan()
    reviewing.render()
    reviewing.decide(*accept(reviewing.candidates().values()))

    applied = reviewing.apply(made.id)

    assert (made.outline.keeps, applied.jobs) == ({"being rendered": ["a"]}, 2)


def test_a_plan_is_stale_when_an_item_that_it_keeps_would_be_rendered_now(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    reviewing.stock(THREE)
    made = reviewing.plan()
    reviewing.decide(reject(reviewing.candidates()["a"]))

    assert reviewing.refusal(made.id) == ("a: would be rendered now (rejected)",)


def test_a_plan_is_stale_when_an_item_that_it_keeps_is_gone(team: Team) -> None:
    team.stock({"a": "red", "b": "blue"})
    team.refresh()
    team.stock(THREE)
    made = team.plan()
    team.stock({"b": "blue", "c": "grey"})

    assert team.refusal(made.id) == ("a: is no longer in the catalog",)
