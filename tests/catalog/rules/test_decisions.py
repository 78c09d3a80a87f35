"""A document of decisions is read whole, or refused with all that is wrong with it."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from worker.catalog.rules.decisions import Decision, DecisionsFaulty, Verdict, read, read_all

ONE, OTHER = UUID(int=1), UUID(int=2)
SAVED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def line(render: object = str(ONE), decision: object = "accept", **more: object) -> dict[str, object]:
    return {"sku": "a", "render": render, "decision": decision, **more}


def document(*lines: object, **changes: object) -> bytes:
    whole = {"darkroom": "decisions", "version": 1, "catalog": "mugs", "decisions": lines}
    return json.dumps(whole | changes).encode()


def faults(content: bytes) -> tuple[str, ...]:
    with pytest.raises(DecisionsFaulty) as refused:
        read(content, catalog="mugs")
    return refused.value.faults


def test_a_decision_keeps_the_reviewers_words_and_when_it_was_said() -> None:
    content = document(line(decision="reject", prompt="A red mug", reason="blue"), saved_at=SAVED_AT.isoformat())

    assert read(content, catalog="mugs") == [
        Decision(sku="a", render_id=ONE, verdict=Verdict.REJECT, prompt="A red mug", reason="blue", said_at=SAVED_AT)
    ]


@pytest.mark.parametrize("saved_at", ["yesterday", "2026-11-22T12:00:00", None])
def test_an_instant_that_cannot_be_compared_is_not_known(saved_at: str | None) -> None:
    [found] = read(document(line(), saved_at=saved_at), catalog="mugs")

    assert found.said_at is None


def test_of_two_documents_about_an_image_the_one_that_was_saved_later_counts() -> None:
    late = document(line(decision="reject"), saved_at="2026-11-22T13:00:00Z")
    early = document(line(), line(str(OTHER)), saved_at="2026-11-22T12:00:00Z")

    found = read_all([late, early], catalog="mugs")

    assert [(each.render_id, each.verdict) for each in found] == [(ONE, Verdict.REJECT), (OTHER, Verdict.ACCEPT)]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "it is not JSON: "),
        (b"[" * 200_000, "it is not JSON: "),
        (b"[]", "it is not a file of decisions"),
        (document(darkroom="plan"), "it is not a file of decisions"),
        (document(version=2), "its version is '2', and only 1 can be read"),
        (document(catalog="bowls"), "it is about the catalog 'bowls', not 'mugs'"),
        (document(decisions={}), '"decisions" must be a list'),
        (document(7), "decision 1 is not an object"),
        (document(line(), line("a")), 'decision 2 needs "render" (an id)'),
        (document(line(decision="perhaps")), 'decision 1 needs "render" (an id)'),
        (document(line(prompt=7)), "decision 1: must be text"),
        (document(line(), line()), f"a: image {ONE} is decided twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_document_that_holds_no_decisions_says_why(content: bytes, fault: str) -> None:
    [said] = faults(content)

    assert said.startswith(fault)


def test_of_many_faults_twenty_are_shown_and_the_others_counted() -> None:
    with pytest.raises(DecisionsFaulty) as refused:
        read(document(*[7] * 25), catalog="mugs")

    assert str(refused.value).splitlines()[19:] == ["decision 20 is not an object", "and 5 more"]
