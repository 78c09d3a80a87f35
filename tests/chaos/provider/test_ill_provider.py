"""A provider that fails everything, or carries creates out and does not say so, for a while in mid-run."""

import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments

pytestmark = pytest.mark.chaos

FAILING = {"faults": {"create": {"fail_generation": 1.0}}}
UNANSWERED = {"faults": {"create": {"http_500_html_after": 1.0}}}
WELL = {"faults": {"create": {"fail_generation": 0.0, "http_500_html_after": 0.0}}}


def is_paused(world: World, reason: str) -> bool:
    return world.count("account", f"pause_reason = '{reason}'") == 1


def test_a_provider_that_fails_everything_fails_no_job_and_a_killed_node_changes_nothing(local_world: World) -> None:
    local_world.provider.set(latency_median_s=0.3, **FAILING)
    first, _ = local_world.node(), local_world.node()
    local_world.submit(manifests.plain(moments.JOBS))
    until(lambda: is_paused(local_world, "provider_failing"), "the account is paused")
    first.kill()
    until(lambda: local_world.count("provider_health", "canary_at IS NOT NULL") == 1, "a canary is sent")
    failed = local_world.count("job", "state = 'failed'")
    local_world.provider.set(**WELL)

    local_world.wait_until_done_in_haste(timeout_s=120)

    assert failed == 0
    assert local_world.count("job", "state = 'succeeded'") == moments.JOBS
    assert local_world.count("job", "failures > 0") == 0
    assert local_world.count("generation", "state = 'failed'") < 30
    books.check(local_world)


def test_creates_that_are_carried_out_and_never_answered_stop_after_a_few(local_world: World) -> None:
    local_world.provider.set(latency_median_s=0.3, **UNANSWERED)
    local_world.node()
    local_world.submit(manifests.plain(moments.JOBS))
    until(lambda: is_paused(local_world, "outcomes_unknown"), "the account is paused")
    until(lambda: local_world.count("job", "state = 'active'") < 20, "what was not sent is back in line")
    bought = len(local_world.provider.tasks())
    local_world.provider.set(**WELL)

    local_world.wait_until_done_in_haste(timeout_s=200)

    assert bought < 20
    assert local_world.count("job", "state = 'succeeded'") == moments.JOBS
    books.check(local_world)
