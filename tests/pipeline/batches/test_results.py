"""Paid images on their way home."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from tests.provider.scripted import Step, answer, scripted_server
from worker.batches import control
from worker.batches.actions import RetryEffect
from worker.core.rules.models_catalogue import PIXELS
from worker.engine.services import Collectors
from worker.engine.steps.calling import Calls
from worker.storage.fetch.download import FetchFailed, FetchLimits
from worker.storage.images import inspect_result

WAITING = "SELECT kind, attempts, lease_until FROM step"
STORED = "SELECT path, sha256, width, height, mime_type FROM result"


@pytest.mark.parametrize("size", PIXELS)
@pytest.mark.parametrize(("form", "extension"), [("png", "png"), ("jpeg", "jpg")])
def test_an_image_lies_under_batch_and_key_and_is_what_was_recorded(
    size: str, form: str, extension: str, node: Node
) -> None:
    receipt = node.submit({"key": "chair", "prompt": "A chair", "image_size": size, "output_format": form})

    node.run_until_quiet()

    row = node.query(STORED)[0]
    facts = inspect_result(node.folder / f"{receipt.batch_id}/chair.{extension}")
    assert row["path"] == f"{receipt.batch_id}/chair.{extension}"
    assert (row["sha256"], row["width"], row["height"]) == (facts.sha256, facts.width, facts.height)
    assert (facts.width, facts.height) == PIXELS[size]


@pytest.mark.parametrize(
    "switches",
    [
        {"urls_field": "empty"},
        {"urls_field": "missing"},
        {"result_redirect": True},
        {"result_needs_key": True},
        {"result_needs_key": True, "result_redirect": True},
    ],
)
def test_an_image_is_found_wherever_the_provider_says(
    switches: dict[str, object], node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(**switches)

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_image_that_is_gone_fails_its_job_after_half_an_hour_with_its_credits_spent(
    status: int, node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(result_gone_status=status, result_ttl_s=0.000001)
    node.run_for(timedelta(minutes=25))
    before = node.jobs()

    node.run_until_quiet()

    assert before == ["active"]
    assert node.jobs() == ["failed"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)


def test_an_image_whose_host_does_not_answer_is_asked_for_a_whole_day(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(faults={"download": {"http_503": 1.0}})
    node.run_for(timedelta(minutes=40))
    node.clock.advance(timedelta(hours=23))
    node.round()
    before = node.jobs()
    sandbox.set(faults={"download": {"http_503": 0.0}})

    node.run_until_quiet()

    assert before == ["active"]
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_an_image_for_which_a_node_has_no_thread_is_downloaded_by_one_that_has(node: Node, sandbox: Provider) -> None:
    collectors = node.services.collectors
    node.services = replace(node.services, collectors=without_room())
    node.submit({"prompt": "A chair"})
    node.run_for(timedelta(seconds=10))
    waiting = node.query(WAITING)
    node.services = replace(node.services, collectors=collectors)

    node.run_until_quiet()

    assert waiting == [{"kind": "collect", "attempts": 0, "lease_until": None}]
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def without_room() -> Collectors:
    collectors = Collectors(1)
    collectors.end()
    return collectors


@pytest.mark.parametrize("content", [b"not an image", b""])
def test_a_foreign_file_under_the_images_name_is_left_alone_and_the_image_stored_beside_it(
    content: bytes, node: Node, sandbox: Provider
) -> None:
    receipt = node.submit({"key": "chair", "prompt": "A chair"})
    taken = node.folder / str(receipt.batch_id) / "chair.png"
    taken.parent.mkdir()
    taken.write_bytes(content)

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert taken.read_bytes() == content
    books.check_all_done(node, sandbox)


def test_asking_for_an_image_again_keeps_to_the_pace(node: Node, sandbox: Provider) -> None:
    """While the key is closed, the provider is not asked for a fresher address either."""
    node.submit({"prompt": "A chair"})
    sandbox.set(faults={"download": {"http_503": 1.0}})
    node.run_for(timedelta(seconds=2.6))
    polls = sandbox.tasks()[0]["polls"]
    node.query("UPDATE account SET blocked_until = :until RETURNING 1", until=node.clock() + timedelta(hours=1))
    node.clock.advance(timedelta(minutes=30))

    node.round()

    assert sandbox.tasks()[0]["polls"] == polls


def test_another_host_that_wants_a_key_does_not_get_ours(node: Node) -> None:
    refusal = Step(reply=answer(b"", status="401 Unauthorized"))
    with scripted_server(refusal) as server, pytest.raises(FetchFailed):
        Calls(node.services, None).download(server.url, node.folder / "image", FetchLimits(max_bytes=1000))

    assert len(server.requests) == 1
    assert b"Authorization" not in server.requests[0]


def test_a_paid_image_is_downloaded_again_before_another_is_paid_for(node: Node, sandbox: Provider) -> None:
    receipt = node.submit({"prompt": "A chair"})
    sandbox.set(faults={"download": {"http_503": 1.0}})
    node.run_until_quiet()
    before = node.failures()
    sandbox.set(faults={"download": {"http_503": 0.0}})

    effect = control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)

    node.run_until_quiet()
    assert before == ["result_temporary"]
    assert effect == RetryEffect(jobs=0, credits=0, recalled=1)
    assert (node.jobs(), node.failures(), node.generations()) == (["succeeded"], [], ["succeeded"])
    books.check_all_done(node, sandbox)


def test_an_image_that_is_withheld_is_never_paid_for_again(node: Node, sandbox: Provider) -> None:
    receipt = node.submit({"prompt": "A chair"})
    sandbox.set(result_gone_status=403, result_ttl_s=0.000001)
    node.run_until_quiet()
    control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    node.run_until_quiet()

    effect = control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)

    assert effect == RetryEffect(jobs=0, credits=0, recalled=1)


def test_only_an_image_that_the_provider_has_no_more_is_paid_for_again(node: Node, sandbox: Provider) -> None:
    receipt = node.submit({"prompt": "A chair"})
    sandbox.set(result_gone_status=404, result_ttl_s=0.000001)
    node.run_until_quiet()
    free = control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    began = node.clock()
    node.run_until_quiet()
    took = node.clock() - began

    paid = control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)

    assert (free, paid) == (RetryEffect(jobs=0, credits=0, recalled=1), RetryEffect(jobs=1, credits=4))
    assert node.failures() == ["result_gone"]
    assert took < timedelta(minutes=1)
    books.check(node, sandbox)
