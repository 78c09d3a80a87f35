"""The rule that says whether an item is rendered: every reason for it, and everything that speaks against it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from worker.catalog.rules.catalog import Keep, Reason, RenderState
from worker.catalog.rules.refresh import Attempt, Content, Item, Live, Options, content_of, decide

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WANTED = Content(
    prompt="A red chair",
    params={"image_size": "square", "output_format": "png"},
    model="qwen-image",
    references=("aa",),
)
OTHER = replace(WANTED, prompt="A blue chair")
LIVE = Live(render_id=UUID(int=2), fingerprint=WANTED.fingerprint, content=WANTED, rendered_at=NOW)
ITEM = Item(
    id=UUID(int=1),
    sku="c1",
    wanted=WANTED,
    fingerprint=WANTED.fingerprint,
    live=LIVE,
    attempt=None,
    is_rejected=False,
    kept_fingerprint=None,
)


def live(content: Content, age_days: int = 0) -> Live:
    rendered_at = NOW - timedelta(days=age_days)
    return replace(LIVE, fingerprint=content.fingerprint, content=content, rendered_at=rendered_at)


def attempt(content: Content, state: RenderState) -> Attempt:
    return Attempt(fingerprint=content.fingerprint, state=state)


@pytest.mark.parametrize(
    ("item", "reasons"),
    [
        (replace(ITEM, live=None), [Reason.NEW]),
        (replace(ITEM, live=live(OTHER)), [Reason.PROMPT]),
        (replace(ITEM, live=live(replace(WANTED, references=("bb",)))), [Reason.REFERENCE]),
        (replace(ITEM, live=live(replace(WANTED, references=()))), [Reason.REFERENCE]),
        (replace(ITEM, live=live(replace(WANTED, params={"image_size": "square_hd"}))), [Reason.PARAMS]),
        (replace(ITEM, live=live(replace(WANTED, model="older"))), [Reason.MODEL]),
        (replace(ITEM, live=live(replace(OTHER, references=("bb",)))), [Reason.PROMPT, Reason.REFERENCE]),
        (replace(ITEM, is_rejected=True), [Reason.REJECTED]),
        (replace(ITEM, is_rejected=True, live=None), [Reason.REJECTED]),
        (replace(ITEM, live=None, attempt=attempt(WANTED, RenderState.FAILED)), [Reason.FAILED]),
        (replace(ITEM, live=None, attempt=attempt(OTHER, RenderState.FAILED)), [Reason.NEW]),
        (replace(ITEM, live=live(OTHER), attempt=attempt(OTHER, RenderState.PLANNED)), [Reason.PROMPT]),
        (replace(ITEM, live=live(OTHER), attempt=attempt(OTHER, RenderState.CANDIDATE)), [Reason.PROMPT]),
        (replace(ITEM, live=live(OTHER), kept_fingerprint=OTHER.fingerprint), [Reason.PROMPT]),
    ],
)
def test_an_item_is_rendered_for_every_reason_that_holds(item: Item, reasons: list[Reason]) -> None:
    decision = decide(item, Options())

    assert decision.keep is None
    assert list(decision.reasons) == reasons


@pytest.mark.parametrize(
    ("item", "keep"),
    [
        (ITEM, Keep.UNCHANGED),
        (replace(ITEM, live=None, attempt=attempt(WANTED, RenderState.PLANNED)), Keep.RENDERING),
        (replace(ITEM, live=live(OTHER), attempt=attempt(WANTED, RenderState.PLANNED)), Keep.RENDERING),
        (replace(ITEM, is_rejected=True, attempt=attempt(WANTED, RenderState.PLANNED)), Keep.RENDERING),
        (replace(ITEM, live=None, attempt=attempt(WANTED, RenderState.CANDIDATE)), Keep.IN_REVIEW),
        (replace(ITEM, attempt=attempt(OTHER, RenderState.PLANNED)), Keep.UNCHANGED),
        (replace(ITEM, live=live(OTHER), kept_fingerprint=WANTED.fingerprint), Keep.ROLLED_BACK),
    ],
)
def test_an_item_is_kept_when_what_is_wanted_is_there_or_on_its_way(item: Item, keep: Keep) -> None:
    assert decide(item, Options()).keep is keep


@pytest.mark.parametrize(("age_days", "is_rendered"), [(29, False), (31, True)])
def test_an_image_older_than_asked_for_is_rendered_again(age_days: int, is_rendered: bool) -> None:  # noqa: FBT001
    item = replace(ITEM, live=live(WANTED, age_days))

    decision = decide(item, Options(made_before=NOW - timedelta(days=30)))

    assert decision.is_render is is_rendered


def test_a_forced_item_is_rendered_though_its_candidate_waits() -> None:
    item = replace(ITEM, attempt=attempt(WANTED, RenderState.CANDIDATE))

    decision = decide(item, Options(forced=frozenset({"c1"})))

    assert decision.reasons == (Reason.FORCED,)
    assert decision.supersedes


def test_a_forced_item_is_not_paid_for_twice_while_the_same_image_is_being_rendered() -> None:
    item = replace(ITEM, attempt=attempt(WANTED, RenderState.PLANNED))

    assert decide(item, Options(forced=frozenset({"c1"}))).keep is Keep.RENDERING


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (attempt(OTHER, RenderState.PLANNED), True),
        (attempt(OTHER, RenderState.CANDIDATE), True),
        (attempt(WANTED, RenderState.CANDIDATE), False),
    ],
)
def test_an_undecided_image_of_other_content_is_given_up_though_the_item_is_kept(
    found: Attempt,
    expected: bool,  # noqa: FBT001
) -> None:
    assert decide(replace(ITEM, attempt=found), Options()).supersedes is expected


def test_a_changed_prompt_names_the_words_that_differ() -> None:
    decision = decide(replace(ITEM, live=live(OTHER)), Options())

    assert [str(change) for change in decision.words] == ["blue -> red"]


@pytest.mark.parametrize(("failures", "keep"), [(2, None), (3, Keep.GIVEN_UP), (4, Keep.GIVEN_UP)])
def test_what_has_failed_again_and_again_is_given_up(failures: int, keep: Keep | None) -> None:
    failed = replace(attempt(WANTED, RenderState.FAILED), failures=failures)

    assert decide(replace(ITEM, live=None, attempt=failed), Options()).keep == keep


def test_what_was_given_up_is_rendered_when_it_is_forced_rejected_or_changed() -> None:
    item = replace(ITEM, live=None, attempt=replace(attempt(WANTED, RenderState.FAILED), failures=3))
    changed = replace(item, wanted=OTHER, fingerprint=OTHER.fingerprint)

    assert decide(item, Options(forced=frozenset({"c1"}))).is_render
    assert decide(replace(item, is_rejected=True), Options()).is_render
    assert decide(changed, Options()).is_render


@pytest.mark.parametrize(
    ("stored", "references"),
    [(None, ()), ("aa", ("aa",)), (["aa", "bb"], ("aa", "bb"))],
    ids=["none", "one", "several"],
)
def test_what_an_image_was_made_from_is_read_back_with_none_one_or_several_references(
    stored: object, references: tuple[str, ...]
) -> None:
    parts = {"prompt": "A chair", "params": {"image_size": "square"}, "model": "qwen-image", "reference": stored}

    found = content_of(parts)

    assert found == replace(WANTED, prompt="A chair", params={"image_size": "square"}, references=references)
