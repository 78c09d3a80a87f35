import pytest

from tests.acceptance import books, manifests
from tests.acceptance.world import ON_EACH_TRANSPORT, World

pytestmark = pytest.mark.acceptance

FAULTS = {
    "lost_reply": 0.05,
    "http_500_html": 0.025,
    "http_503": 0.025,
    "reset_before": 0.025,
    "reset_after": 0.025,
}
"""5 % lost replies, 5 % of 5xx, 5 % resets, for every kind of request."""
MOST = 295
"""A job is lost only when three generations in a row fail: one in 8,000."""


@ON_EACH_TRANSPORT
def test_300_jobs_with_references_end_with_exact_books_at_a_provider_that_fails_in_every_way(world: World) -> None:
    world.provider.set(latency_median_s=0.3, faults={"*": FAULTS, "create": FAULTS | {"fail_generation": 0.05}})
    requests = manifests.with_references(300, world.folder, references=12)
    world.node()

    receipt = world.submit(requests, token="three hundred")
    world.wait_until_done(timeout_s=120)
    tasks = len(world.provider.tasks())
    again = world.submit(requests, token="three hundred")

    books.check(world)
    assert world.provider.books()["faults"].keys() >= {"create", "get", "download"}
    assert world.provider.books()["faults"]["create"].keys() == FAULTS.keys()
    assert world.count("job", "state = 'succeeded'") >= MOST
    assert (again.batch_id, again.is_new) == (receipt.batch_id, False)
    assert (world.count("batch"), world.count("job"), len(world.provider.tasks())) == (1, 300, tasks)
