"""The price, the cap, the thresholds and the hash of a plan."""

from dataclasses import replace
from uuid import UUID

import pytest

from worker.catalog.rules.catalog import Keep, Reason
from worker.catalog.rules.refresh import Content, Decision
from worker.catalog.rules.refresh_plan import Thresholds, differences, outline


def render(sku: str, *reasons: Reason) -> Decision:
    wanted = Content(prompt=f"A {sku}", params={}, model="qwen-image", references=())
    return Decision(
        id=UUID(int=1),
        sku=sku,
        fingerprint=wanted.fingerprint,
        wanted=wanted,
        reasons=reasons or (Reason.NEW,),
    )


KEPT = replace(render("kept"), keep=Keep.UNCHANGED, reasons=())
DECISIONS = [render("a"), KEPT, render("b", Reason.PROMPT, Reason.REFERENCE), render("c")]


def test_the_price_is_that_of_one_generation_of_each_item_to_render() -> None:
    assert outline(DECISIONS, credit_cap=None, conditions={}).price == 12


def test_every_reason_of_every_item_is_counted() -> None:
    counts = outline(DECISIONS, credit_cap=None, conditions={}).counts

    assert counts == {"new": 2, "prompt changed": 1, "reference changed": 1, "unchanged": 1}


def test_what_is_kept_is_listed_by_its_reason_in_the_items_order() -> None:
    more = [replace(render("d"), keep=Keep.IN_REVIEW), replace(KEPT, sku="e")]

    found = outline([*DECISIONS, *more], credit_cap=None, conditions={})

    assert found.keeps == {"unchanged": ["kept", "e"], "waits for review": ["d"]}


def test_what_the_cap_left_out_is_wanted_all_the_same() -> None:
    found = outline(DECISIONS, credit_cap=4, conditions={})

    assert [each.sku for each in found.wanted] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("cap", "rendered"), [(0, []), (3, []), (4, ["a"]), (11, ["a", "b"]), (12, ["a", "b", "c"]), (99, ["a", "b", "c"])]
)
def test_what_the_cap_does_not_reach_is_left_for_the_next_plan(cap: int, rendered: list[str]) -> None:
    found = outline(DECISIONS, credit_cap=cap, conditions={})

    assert [each.sku for each in found.renders] == rendered
    assert found.price <= cap
    assert found.counts.get(Keep.CAPPED, 0) == 3 - len(rendered)


@pytest.mark.parametrize(
    "changed",
    [
        [render("a"), KEPT, render("b", Reason.PROMPT)],
        [render("a"), render("kept"), *DECISIONS[2:]],
        [render("a"), *DECISIONS[2:]],
        [replace(render("a"), fingerprint="other"), *DECISIONS[1:]],
        DECISIONS[1:],
    ],
)
def test_the_hash_is_another_one_when_an_item_is_and_what_is_to_happen_to_it(changed: list[Decision]) -> None:
    before = outline(DECISIONS, credit_cap=None, conditions={}).content_hash

    assert outline(changed, credit_cap=None, conditions={}).content_hash != before


@pytest.mark.parametrize("keep", [Keep.RENDERING, Keep.IN_REVIEW, Keep.ROLLED_BACK])
def test_the_hash_is_the_same_while_an_item_is_kept_for_whatever_reason(keep: Keep) -> None:
    before = outline(DECISIONS, credit_cap=None, conditions={}).content_hash

    after = outline([render("a"), replace(KEPT, keep=keep), *DECISIONS[2:]], credit_cap=None, conditions={})

    assert after.content_hash == before


def test_the_hash_is_the_same_for_the_same_content_and_conditions() -> None:
    first = outline(DECISIONS, credit_cap=None, conditions={"recipe": "r"}).content_hash

    assert outline(list(DECISIONS), credit_cap=None, conditions={"recipe": "r"}).content_hash == first
    assert outline(DECISIONS, credit_cap=None, conditions={"recipe": "s"}).content_hash != first
    assert outline(DECISIONS, credit_cap=99, conditions={"recipe": "r"}).content_hash != first


@pytest.mark.parametrize(
    ("thresholds", "is_passed"),
    [
        (Thresholds(), False),
        (Thresholds(credits=400), False),
        (Thresholds(credits=399), True),
        (Thresholds(share=0.1), False),
        (Thresholds(share=0.09), True),
        (Thresholds(credits=999, share=0.0), True),
    ],
)
def test_a_plan_needs_an_approval_above_a_threshold_and_not_at_it(
    thresholds: Thresholds,
    is_passed: bool,  # noqa: FBT001
) -> None:
    assert thresholds.are_passed(price=400, renders=100, items=1000) is is_passed


def test_what_has_changed_since_a_plan_is_said_by_sku() -> None:
    rendered: dict[str, str | None] = {
        each.sku: each.fingerprint for each in (render("a"), render("b"), render("gone"), render("kept"))
    }
    kept: dict[str, str | None] = {"still": None, "lost": None, "rejected": None}
    now = [
        render("a"),
        replace(render("b"), fingerprint="other"),
        KEPT,
        replace(KEPT, sku="still"),
        render("rejected", Reason.REJECTED),
        render("added"),
        replace(KEPT, sku="back"),
    ]

    assert differences(rendered | kept, now) == [
        "b: its content is another one now",
        "gone: is no longer in the catalog",
        "kept: is unchanged now",
        "lost: is no longer in the catalog",
        "rejected: would be rendered now (rejected)",
        "added: would be rendered now (new)",
        "back: is in the catalog now",
    ]


@pytest.mark.parametrize(
    ("own", "general", "lower"), [(None, None, None), (100, None, 100), (None, 50, 50), (100, 50, 50), (20, 50, 20)]
)
def test_the_lower_threshold_in_credits_holds(own: int | None, general: int | None, lower: int | None) -> None:
    assert Thresholds(credits=own, share=0.2).lowered(general) == Thresholds(credits=lower, share=0.2)
