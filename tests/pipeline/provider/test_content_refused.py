"""A prompt that the provider refuses for its content: its job ends at once, as its own class of failure."""

from dataclasses import replace

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.core.rules import errors

FAILURE = "SELECT failure_code, failure_message FROM job ORDER BY line"
OWN_WORDS = "SELECT state, error_code, error_message FROM generation"


@pytest.mark.parametrize("status", [0, 400, 403, 422, 451])
def test_content_that_is_refused_fails_its_job_at_once_without_a_second_attempt(
    status: int, node: Node, sandbox: Provider
) -> None:
    sandbox.set(moderated_prompts="nude", moderation_code="Content_Moderation", moderation_status=status)
    node.submit({"prompt": "A nude chair"}, {"prompt": "A chair"})

    node.run_until_quiet()

    assert node.jobs() == ["failed", "succeeded"]
    assert node.query(FAILURE)[0] == {
        "failure_code": "content_refused",
        "failure_message": "Content_Moderation: The content was refused.",
    }
    assert len(node.generations()) == 2
    assert node.pause_reason() is None
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize(("status", "state"), [(0, "failed"), (422, "refused")])
def test_the_providers_own_code_and_words_are_kept_with_the_generation(
    status: int, state: str, node: Node, sandbox: Provider
) -> None:
    sandbox.set(moderated_prompts="nude", moderation_status=status)
    node.submit({"prompt": "A nude chair"})

    node.run_until_quiet()

    assert node.query(OWN_WORDS) == [
        {"state": state, "error_code": "content_policy_violation", "error_message": "The content was refused."}
    ]


def test_content_that_is_refused_says_nothing_about_whether_its_prompt_keeps_failing(
    node: Node, sandbox: Provider
) -> None:
    sandbox.set(moderated_prompts="nude")
    node.submit({"prompt": "A nude chair"})

    node.run_until_quiet()

    assert node.query("SELECT * FROM prompt_failure") == []


def test_which_codes_are_about_content_can_be_set(node_for: NodeFor, sandbox: Provider) -> None:
    node = node_for()
    policies = replace(node.services.policies, refused_content=errors.parse_content_codes("Code_Red, code_blue"))
    node.services = replace(node.services, policies=policies)
    sandbox.set(moderated_prompts="nude", moderation_code="code_red")
    node.submit({"prompt": "A nude chair"})

    node.run_until_quiet()

    assert node.failures() == ["content_refused"]
    assert len(node.generations()) == 1
