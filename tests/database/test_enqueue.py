import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from tests.fixtures import pictures
from tests.pipeline.node import Node
from worker.enqueue import RequestsRefused, TokenTaken, enqueue, prepare_requests

COUNTS = "SELECT (SELECT count(*) FROM batch) AS batches, (SELECT count(*) FROM job) AS jobs"
CHAIR = {"prompt": "A chair"}


def test_five_thousand_requests_keep_their_order_and_their_words(node: Node) -> None:
    requests = [{"key": f"k{n}", "prompt": f"tab\there \\N quote' {n}", "note": {"n": n}} for n in range(5_000)]

    receipt = node.submit(*requests)

    rows = node.query("SELECT key, prompt, extra FROM job ORDER BY line")
    assert receipt.jobs == 5_000
    assert receipt.credits == 20_000
    assert [{"key": r["key"], "prompt": r["prompt"], **r["extra"]} for r in rows] == requests


def test_the_same_token_with_the_same_requests_is_the_same_batch(node: Node) -> None:
    first = node.submit(CHAIR, token="t")

    second = node.submit(CHAIR, token="t")

    assert (second.batch_id, first.is_new, second.is_new) == (first.batch_id, True, False)
    assert node.query(COUNTS) == [{"batches": 1, "jobs": 1}]


def test_the_same_token_with_other_requests_is_refused(node: Node) -> None:
    node.submit(CHAIR, token="t")

    with pytest.raises(TokenTaken):
        node.submit({"prompt": "A table"}, token="t")

    assert node.query(COUNTS) == [{"batches": 1, "jobs": 1}]


def test_producers_that_submit_one_token_at_once_get_one_batch(node: Node) -> None:
    barrier = threading.Barrier(4)

    def submit(_: int) -> UUID:
        prepared = prepare_requests([CHAIR], store=node.services.store)
        with node.services.database.transaction() as tx:
            barrier.wait(timeout=10)
            return enqueue(tx, {"token": "t"}, prepared).batch_id

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(submit, range(4)))

    assert len(found) == 1
    assert node.query(COUNTS) == [{"batches": 1, "jobs": 1}]


def test_a_batch_in_a_transaction_that_is_rolled_back_never_was(node: Node) -> None:
    with Session(node.services.database.engine) as session:
        enqueue(session, {"token": "t"}, [CHAIR], store=node.services.store)
        session.rollback()

    assert node.query(COUNTS) == [{"batches": 0, "jobs": 0}]
    assert node.submit(CHAIR, token="t").is_new


def test_nothing_is_written_when_one_request_has_a_fault(node: Node) -> None:
    with pytest.raises(RequestsRefused) as refused:
        node.submit(CHAIR, {"prompt": "x" * 5_001}, {"prompt": "y", "image_size": "huge"})

    assert [fault.line for fault in refused.value.faults] == [2, 3]
    assert node.query(COUNTS) == [{"batches": 0, "jobs": 0}]


def test_nothing_is_written_for_an_unknown_reference_also_when_the_caller_commits_all_the_same(node: Node) -> None:
    unknown = [{"prompt": "A chair", "reference": f"sha256:{'0' * 64}"}]
    with node.services.database.transaction() as tx, pytest.raises(RequestsRefused):
        enqueue(tx, {"token": "t"}, unknown, store=node.services.store)

    assert node.query(COUNTS) == [{"batches": 0, "jobs": 0}]


def test_a_reference_is_stored_under_the_hash_of_its_bytes(node: Node) -> None:
    sha256 = pictures.reference(node.folder)

    node.submit({"prompt": "1", "reference": "reference.png"}, {"prompt": "2", "reference": f"sha256:{sha256}"})

    assert (node.folder / "references" / sha256).is_file()
    assert node.query("SELECT DISTINCT reference_hash FROM job") == [{"reference_hash": sha256}]


def test_a_parameter_that_the_model_does_not_have_is_refused_unless_the_batch_allows_it(node: Node) -> None:
    seeded = {"prompt": "A chair", "seed": 7}

    with pytest.raises(RequestsRefused) as refused:
        node.submit(seeded)
    receipt = node.submit(seeded, allow_extra=["seed"])

    assert [fault.field for fault in refused.value.faults] == ["seed"]
    assert (receipt.jobs, receipt.kept) == (1, ("seed",))
