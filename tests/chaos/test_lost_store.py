"""The store goes away in mid-run, as a share that is unmounted, and comes back."""

import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments

pytestmark = pytest.mark.chaos

WAITING = "kind IN ('collect', 'upload') AND starts_with(error, 'store_unavailable')"


def test_a_store_that_goes_away_in_mid_run_and_comes_back_costs_no_job_and_no_image(local_world: World) -> None:
    local_world.provider.set(**moments.SLOW_ANSWERS)
    local_world.node()
    local_world.submit(manifests.with_references(moments.JOBS, local_world.folder, references=4))
    moments.in_mid_run(local_world)
    share = local_world.folder / "share"

    local_world.images.rename(share)
    local_world.images.mkdir()
    until(lambda: local_world.count("step", WAITING) >= 3, "steps wait for the store")
    failed = local_world.count("job", "state = 'failed'")
    written = list(local_world.images.iterdir())
    local_world.images.rmdir()
    share.rename(local_world.images)
    local_world.provider.set(**moments.PROMPT_ANSWERS)
    local_world.wait_until_done_in_haste()

    assert (failed, written) == (0, [])
    assert local_world.count("job", "state = 'succeeded'") == moments.JOBS
    books.check(local_world)
