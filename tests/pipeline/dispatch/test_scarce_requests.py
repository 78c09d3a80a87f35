"""With too few requests for everything that is due, the polls that have most to find come first."""

from datetime import timedelta

from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from worker.accounts.queries import accounts

NOT_YET = 100_000


def test_a_poll_that_finds_no_end_says_when_it_looked(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"})
    sandbox.set(latency_median_s=NOT_YET)

    node.run_for(timedelta(seconds=4))

    [step] = node.query("SELECT kind, looked_at, since FROM step")
    assert step["kind"] == "poll"
    assert step["since"] < step["looked_at"] <= node.clock()


def test_a_poll_without_an_answer_says_nothing_about_the_generation(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"})
    sandbox.set(latency_median_s=NOT_YET, faults={"get": {"http_503": 1.0}})

    node.run_for(timedelta(seconds=10))

    assert node.query("SELECT kind, looked_at FROM step") == [{"kind": "poll", "looked_at": None}]


def test_of_two_due_polls_the_one_slot_goes_to_the_generation_that_is_likelier_to_have_ended(
    node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "young"}, {"prompt": "old"})
    sandbox.set(latency_median_s=NOT_YET)
    node.round()
    _teach(node)
    now = node.clock.now + timedelta(minutes=1)
    # The young one has been due for longer: it was to be asked early and waits for a slot.
    _let_be(node, "young", since=now - timedelta(seconds=8), due_at=now - timedelta(seconds=5))
    _let_be(node, "old", since=now - timedelta(seconds=25), due_at=now - timedelta(seconds=1))
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=1.0, max_in_flight=100, now=now)
    node.clock.now = now

    decided = node.round()

    [asked] = decided.tickets
    assert node.query("SELECT prompt FROM job WHERE id = :id", id=asked.job_id) == [{"prompt": "old"}]


def _teach(node: Node) -> None:
    """Let the node have seen many generations that took about 20 s."""
    for _ in range(50):
        node.services.latencies.observe(
            "qwen-image", has_reference=False, low=timedelta(seconds=15), high=timedelta(seconds=25)
        )
    node.services.latencies.share(node.services.database, node.clock.now)


def _let_be(node: Node, prompt: str, **times: object) -> None:
    statement = """
        UPDATE step SET since = :since, due_at = :due_at FROM job
        WHERE job.id = step.job_id AND job.prompt = :prompt RETURNING 1"""
    assert len(node.query(statement, prompt=prompt, **times)) == 1
