"""References at the provider: one upload for all jobs that share it, and never a body that was changed."""

from datetime import timedelta

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.core.rules.errors import ProviderError, Refused, Unavailable
from worker.core.rules.states import StepKind
from worker.engine import dispatch


class Once:
    """A listener that raises at the first sight of an effect."""

    def __init__(self, effect: str, error: ProviderError) -> None:
        self._effect, self._error = effect, error
        self._is_spent = False

    def __call__(self, effect: str) -> None:
        if effect == self._effect and not self._is_spent:
            self._is_spent = True
            raise self._error


def test_twenty_jobs_with_one_reference_upload_it_once(node: Node, sandbox: Provider) -> None:
    sha256 = pictures.reference(node.folder, shade=1)
    node.submit(*({"prompt": str(n), "reference": "reference.png"} for n in range(20)))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 20
    assert sandbox.books()["uploads"]["by_sha256"][sha256] == 1
    books.check_all_done(node, sandbox)


def test_jobs_that_share_a_reference_survive_broken_uploads(node: Node, sandbox: Provider) -> None:
    pictures.reference(node.folder, shade=2)
    node.submit(*({"prompt": str(n), "reference": "reference.png"} for n in range(5)))
    sandbox.script(("upload", 1, "http_503"), ("upload", 2, "lost_reply"), ("upload", 3, "reset_before"))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 5
    books.check_all_done(node, sandbox)


def test_a_reference_that_the_provider_refuses_fails_its_job_and_frees_the_hold(
    node_for: NodeFor, sandbox: Provider
) -> None:
    node = node_for(listener=Once("before upload", Refused("validation_failed", "no such kind", 400)))
    pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})

    node.run_until_quiet()

    assert node.jobs() == ["failed"]
    assert node.failures() == ["validation_failed"]
    assert node.entries() == [("hold", 4), ("void", 4)]
    books.check_all_done(node, sandbox)


def test_a_reference_that_the_store_has_lost_fails_its_job_and_frees_the_hold(node: Node, sandbox: Provider) -> None:
    sha256 = pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})
    (node.folder / "references" / sha256).unlink()

    node.run_until_quiet()

    assert node.failures() == ["reference_missing"]
    assert node.entries() == [("hold", 4), ("void", 4)]
    books.check_all_done(node, sandbox)


def test_an_upload_that_is_too_old_is_made_again(node: Node, sandbox: Provider) -> None:
    sha256 = pictures.reference(node.folder, shade=3)
    node.submit({"prompt": "1", "reference": "reference.png"})
    node.run_until_quiet()
    node.clock.advance(timedelta(hours=7))
    node.submit({"prompt": "2", "reference": "reference.png"})

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 2
    assert sandbox.books()["uploads"]["by_sha256"][sha256] == 2


def test_an_upload_that_the_provider_has_dropped_is_made_again_and_fails_no_job(node: Node, sandbox: Provider) -> None:
    """How long it keeps uploads is not documented: a refusal of a request with an older one may be the upload's."""
    pictures.reference(node.folder)
    sandbox.set(upload_ttl_s=60)
    node.submit({"prompt": "1", "reference": "reference.png"})
    node.run_until_quiet()
    sandbox.advance(120)
    node.clock.advance(timedelta(minutes=2))

    node.submit(*({"prompt": prompt, "reference": "reference.png"} for prompt in "23"))
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 3
    books.check_all_done(node, sandbox)


def test_a_replay_after_its_reference_was_uploaded_anew_sends_the_first_bytes(
    node_for: NodeFor, sandbox: Provider
) -> None:
    """A body that was built again would name the new upload, and another body under a used key is no replay."""
    node = node_for(window=timedelta(days=1))
    pictures.reference(node.folder, shade=5)
    sandbox.set(idempotency_compare="raw")
    sandbox.script(("create", 1, "lost_reply"))
    node.submit({"prompt": "lost", "reference": "reference.png"})
    node.round()
    node.round()
    node.clock.advance(timedelta(hours=7))
    node.submit({"prompt": "later", "reference": "reference.png"})

    node.deliver(sorted(dispatch.run(node.services).tickets, key=lambda ticket: ticket.kind is not StepKind.UPLOAD))
    node.run_until_quiet()

    sent = node.query("SELECT encode(sha256(body), 'hex') AS body, sends FROM generation ORDER BY id")
    assert [(row["body"], row["sends"]) for row in sent] == [
        (task["sha256"], sends) for task, sends in zip(sandbox.tasks(), (2, 1), strict=True)
    ]
    assert sandbox.books()["replays"] >= 1
    assert node.jobs() == ["succeeded"] * 2
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("error", [Unavailable("connect_failed")])
def test_a_request_of_which_no_byte_was_sent_names_an_upload_that_is_still_there(
    error: ProviderError, node_for: NodeFor, sandbox: Provider
) -> None:
    """An outage that outlasts the upload is no fault of the job: nothing was sent, so its body may be made anew."""
    node = node_for(listener=Once("before create", error))
    pictures.reference(node.folder, shade=4)
    sandbox.set(upload_ttl_s=3600)
    node.submit({"prompt": "1", "reference": "reference.png"})
    node.round()
    node.round()
    node.clock.advance(timedelta(hours=7))
    sandbox.advance(7 * 3600)

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_reference_that_cannot_be_sent_for_a_day_fails_its_job_and_frees_the_hold(
    node: Node, sandbox: Provider
) -> None:
    pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})
    sandbox.set(faults={"upload": {"http_503": 1.0}})
    node.run_for(timedelta(hours=23))
    before = node.jobs()

    node.run_until_quiet()

    assert before == ["active"]
    assert (node.jobs(), node.failures()) == (["failed"], ["http_503"])
    assert node.entries() == [("hold", 4), ("void", 4)]
    books.check_all_done(node, sandbox)
