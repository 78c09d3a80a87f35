from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node


def test_a_job_ends_with_its_image_in_the_store_and_its_credits_spent(node: Node, sandbox: Provider) -> None:
    node.submit({"key": "chair", "prompt": "A chair"})

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)
