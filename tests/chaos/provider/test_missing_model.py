"""A model vanishes from the provider's list in mid-run, and is offered again."""

import pytest

from tests.acceptance import books
from tests.acceptance.waiting import until
from tests.acceptance.world import World

pytestmark = pytest.mark.chaos

EACH = 40
PAUSED = "paused_at IS NOT NULL"


def test_a_model_that_vanishes_in_mid_run_fails_no_job_and_holds_no_other_model_up(local_world: World) -> None:
    local_world.provider.set(latency_median_s=0.3)
    local_world.node(DARKROOM_RATE="20")
    local_world.node(DARKROOM_RATE="20")
    models = ("nano-banana", "qwen-image")
    local_world.submit([{"prompt": f"{model} {n}", "model": model} for n in range(EACH) for model in models])
    until(lambda: local_world.count("result") >= 5, "first images are in the store")

    local_world.provider.set(model_status={"nano-banana": "removed"})
    until(lambda: local_world.count("model_pause", PAUSED) == 1, "the model is paused")
    until(lambda: local_world.count("job", "model = 'qwen-image' AND state = 'succeeded'") == EACH, "others go on")
    waiting = local_world.count("job", "state = 'pending'")
    local_world.provider.set(model_status={"nano-banana": "available"})
    until(lambda: is_resumed(local_world), "the model is offered again")
    local_world.wait_until_done_in_haste()

    assert waiting > 0
    assert local_world.count("job", "state = 'succeeded'") == 2 * EACH
    # Not the images' sizes: each model has other params for them.
    for check in (books.check_jobs, books.check_generations, books.check_ledger, books.check_proofs):
        check(local_world)


def is_resumed(world: World) -> bool:
    """Let the next look at the list be due, and return whether one has found the model."""
    world.query(f"UPDATE model_pause SET probe_at = now() WHERE {PAUSED}")
    return world.count("model_pause", PAUSED) == 0
