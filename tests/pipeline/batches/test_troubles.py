"""A provider that fails is seen where a batch is looked at: what is tried again, with which words, and when."""

from datetime import timedelta

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline.node import Node


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("upload", "1 upload is tried again: http_503 (HTTP 503)"),
        ("create", "1 create is tried again: http_503 (HTTP 503)"),
        ("get", "1 poll is tried again: http_503 (HTTP 503)"),
        ("download", "1 download is tried again: result_temporary: "),
    ],
)
def test_what_fails_again_and_again_is_what_the_batch_waits_for(
    kind: str, said: str, node: Node, sandbox: Provider
) -> None:
    pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})
    sandbox.set(faults={kind: {"http_503": 1.0}})
    node.run_for(timedelta(seconds=30))

    found = node.overview().obstacle

    assert found is not None
    assert found.reason.startswith(said)
    assert "; next try 2020-11-22 12:00:" in found.reason
    assert (found.is_account_paused, found.ends_by_itself) == (False, True)


def test_one_failure_alone_is_no_trouble(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "http_503"))
    node.run_for(timedelta(seconds=0.3))

    assert node.query("SELECT attempts FROM step") == [{"attempts": 1}]
    assert node.overview().obstacle is None


def test_a_step_that_goes_well_again_forgets_its_trouble(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(latency_median_s=600)
    sandbox.script(("get", 1, "http_503"), ("get", 2, "http_503"))

    node.run_for(timedelta(minutes=1))

    assert node.query("SELECT attempts, error FROM step") == [{"attempts": 0, "error": None}]
