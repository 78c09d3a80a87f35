"""Client errors without the provider's envelope are the words of something on the way, and not of the provider."""

from datetime import timedelta

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.core.rules.errors import NotFound


def turn_away(sandbox: Provider, kind: str, share: float) -> None:
    sandbox.set(faults={kind: {"http_400_html": share}})


@pytest.mark.parametrize("kind", ["create", "upload", "get"])
def test_a_proxy_that_turns_every_request_away_for_an_hour_fails_no_job(
    kind: str, node: Node, sandbox: Provider
) -> None:
    pictures.reference(node.folder)
    node.submit(*({"prompt": f"Chair {n}", "reference": "reference.png"} for n in range(5)))
    turn_away(sandbox, kind, 1.0)
    node.run_for(timedelta(hours=1))
    during = set(node.jobs())
    turn_away(sandbox, kind, 0.0)

    node.run_until_quiet()

    assert during == {"active"}
    assert node.jobs() == ["succeeded"] * 5
    assert len(sandbox.tasks()) == 5
    books.check_all_done(node, sandbox)


def test_a_create_that_is_turned_away_for_a_day_fails_its_job_unpaid(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    turn_away(sandbox, "create", 1.0)

    node.run_for(timedelta(hours=25))

    assert node.jobs() == ["failed"]
    assert node.entries() == [("hold", 4), ("void", 4)]
    assert sandbox.tasks() == []


def test_a_404_without_a_code_of_the_providers_is_tried_again_under_the_same_key(node: Node, sandbox: Provider) -> None:
    pages: list[str] = []

    def answer_with_a_page(effect: str) -> None:
        if effect == "before create" and len(pages) < 3:
            pages.append(effect)
            raise NotFound("http_404", "a page of something on the way", 404)

    node.submit({"prompt": "A chair"})
    node.services.client.listener = answer_with_a_page  # type: ignore[attr-defined]

    node.run_until_quiet()

    assert len(pages) == 3
    assert node.jobs() == ["succeeded"]
    assert node.generations() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_replay_that_is_turned_away_by_a_proxy_is_no_doubt_yet(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"), ("create", 2, "http_400_html"))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)
