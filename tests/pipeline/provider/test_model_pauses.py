"""A model that vanishes or is disabled: its jobs wait and none fails, those of other models go on."""

from datetime import timedelta

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.accounts import control
from worker.accounts.queries import accounts
from worker.core.rules.batch_request import Priority
from worker.engine import dispatch
from worker.engine.queries import batches

CHAIRS = [{"prompt": str(n)} for n in range(3)]
BANANAS = [{"key": f"b{n}", "prompt": str(n), "model": "nano-banana"} for n in range(3)]
ROWS_READ = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'job'"
PAUSED_AND_BACK = """
    INSERT INTO model_pause (account_id, model, status, message, resumed_at, probes)
    SELECT id, 'nano-banana', 'removed', 'gone', :now, 1 FROM account RETURNING model"""
PAUSED = "SELECT model, status FROM model_pause WHERE paused_at IS NOT NULL"


@pytest.mark.parametrize("status", ["removed", "coming_soon", "studio_only"])
@pytest.mark.parametrize(
    ("code", "http_status"),
    [
        ("validation_failed", 400),
        ("not_found", 404),
        ("model_not_found", 404),
        ("model_disabled", 403),
        ("model_not_available", 409),
        ("gone", 410),
    ],
)
def test_jobs_of_a_model_that_is_not_offered_wait_without_holds_and_go_on_when_it_is_back(
    status: str, code: str, http_status: int, node: Node, sandbox: Provider
) -> None:
    node.submit(*BANANAS)
    sandbox.set(model_status={"nano-banana": status}, model_refused_code=code, model_refused_status=http_status)
    node.run_for(timedelta(minutes=5))
    waiting = (node.jobs(), books.balance(node, "held"), node.pause_reason())
    books.check(node, sandbox)
    sandbox.set(model_status={"nano-banana": "available"})

    node.run_until_quiet()

    assert waiting == (["pending"] * 3, 0, None)
    assert node.jobs() == ["succeeded"] * 3
    assert node.query("SELECT failures FROM job") == [{"failures": 0}] * 3
    books.check_all_done(node, sandbox)


def test_other_models_go_on_in_the_same_batch_and_in_others(node: Node, sandbox: Provider) -> None:
    sandbox.set(model_status={"nano-banana": "removed"})
    node.submit(*BANANAS, *CHAIRS)
    node.submit({"prompt": "z", "model": "z-image"})

    node.run_for(timedelta(minutes=10))

    assert node.jobs() == ["pending"] * 3 + ["succeeded"] * 4
    assert node.query(PAUSED) == [{"model": "nano-banana", "status": "unlisted"}]
    assert node.query("SELECT has_pending FROM batch ORDER BY id")[0] == {"has_pending": True}


def test_a_paused_model_is_asked_about_ever_more_rarely_and_nothing_is_sent_for_it(
    node_for: NodeFor, sandbox: Provider
) -> None:
    calls: list[str] = []
    node = node_for(listener=calls.append)
    sandbox.set(model_status={"nano-banana": "coming_soon"})
    node.submit(*BANANAS)
    node.run_for(timedelta(minutes=1))
    begun = calls.count("before create")

    node.run_for(timedelta(hours=6))

    reads = node.query("SELECT count(*) AS n FROM call WHERE kind = 'models'")[0]["n"]
    assert begun <= 3
    assert calls.count("before create") == begun
    assert 20 < reads < 80


def test_a_refusal_to_a_create_that_was_sent_before_the_model_was_back_fails_no_job(
    node: Node, sandbox: Provider
) -> None:
    """Of two nodes one may see that the model is back while the other has not read the list yet."""
    node.submit(*BANANAS)
    sandbox.set(model_status={"nano-banana": "removed"})
    paused: list[object] = []

    def bring_back(effect: str) -> None:
        """While the first create is under way another node pauses the model, and finds it back."""
        if effect != "before create" or paused:
            return
        paused.extend(node.query(PAUSED_AND_BACK, now=node.clock() + timedelta(seconds=1)))
        node.clock.advance(timedelta(seconds=2))

    node.services.client.listener = bring_back  # type: ignore[attr-defined]
    listing = node.services.client.models

    def offered() -> object:
        sandbox.set(model_status={"nano-banana": "available"})
        return listing()

    node.services.client.models = offered  # type: ignore[method-assign, assignment]
    node.run_until_quiet()

    assert paused
    assert node.jobs() == ["succeeded"] * 3
    assert node.query("SELECT number, state FROM generation ORDER BY id")[0] == {"number": 1, "state": "void"}
    books.check_all_done(node, sandbox)


def test_a_refusal_of_a_model_that_is_offered_fails_its_job_and_pauses_nothing(node: Node, sandbox: Provider) -> None:
    sandbox.set(model_status={"nano-banana": "coming_soon"})
    node.submit({"prompt": "x" * 200, "model": "qwen2-image"}, *CHAIRS)
    sandbox.set(extra_models={"qwen2-image": {**_ENTRY, "prompt_max": 100}})

    node.run_until_quiet()

    assert node.jobs() == ["failed", "succeeded", "succeeded", "succeeded"]
    assert node.failures() == ["validation_failed"]
    assert node.query(PAUSED) == []
    books.check_all_done(node, sandbox)


def test_each_refusal_is_judged_by_a_list_that_was_read_after_it(node: Node, sandbox: Provider) -> None:
    """A model may vanish a moment after a refusal of another kind."""
    sandbox.set(extra_models={"qwen2-image": {**_ENTRY, "prompt_max": 100}})
    node.submit({"prompt": "x" * 200, "model": "qwen2-image"})
    node.run_until_quiet()
    sandbox.set(model_status={"nano-banana": "removed"})
    node.submit(BANANAS[0])

    node.run_for(timedelta(minutes=1))

    assert node.jobs() == ["failed", "pending"]


_ENTRY = {
    "credits": 6,
    "prompt_max": 800,
    "references_max": 1,
    "reference_mb": 10,
    "params": {
        "image_size": ["16:9"],
        "output_format": ["png"],
        "seed": None,
        "nsfw_checker": ["false"],
    },
}


@pytest.mark.parametrize("fault", ["http_503", "reset_before", "malformed_json", "throttle"])
def test_a_refusal_is_not_believed_while_the_list_of_models_cannot_be_read(
    fault: str, node: Node, sandbox: Provider
) -> None:
    sandbox.set(model_status={"nano-banana": "removed"}, faults={"models": {fault: 1.0}})
    node.submit(*BANANAS)
    node.run_for(timedelta(minutes=3))
    unread = (set(node.jobs()), node.query(PAUSED))
    sandbox.reset(model_status={"nano-banana": "removed"})
    node.run_for(timedelta(minutes=5))
    read = (node.jobs(), node.query(PAUSED))
    sandbox.set(model_status={"nano-banana": "available"})

    node.run_until_quiet()

    assert unread == ({"active"}, [])
    assert read == (["pending"] * 3, [{"model": "nano-banana", "status": "unlisted"}])
    assert node.jobs() == ["succeeded"] * 3
    books.check_all_done(node, sandbox)


def test_a_job_that_is_at_its_upload_when_its_model_is_paused_goes_back_in_line(node: Node, sandbox: Provider) -> None:
    pictures.reference(node.folder, shade=4001)
    sandbox.set(model_status={"nano-banana": "removed"})
    node.submit(BANANAS[0], {**BANANAS[1], "reference": "reference.png"})

    node.run_for(timedelta(minutes=2))

    assert node.jobs() == ["pending"] * 2
    assert books.balance(node, "held") == 0
    books.check(node, sandbox)


def test_a_lost_answer_is_replayed_while_its_model_is_paused(node: Node, sandbox: Provider) -> None:
    node.submit(BANANAS[0])
    sandbox.script(("create", 1, "lost_reply"))
    node.round()
    sandbox.set(model_status={"nano-banana": "removed"})
    node.submit(*BANANAS[1:])

    node.run_for(timedelta(minutes=5))

    assert sorted(node.jobs()) == ["pending", "pending", "succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check(node, sandbox)


def test_a_create_that_never_arrived_keeps_its_key_and_is_carried_out_when_its_model_is_back(
    node: Node, sandbox: Provider
) -> None:
    node.submit(BANANAS[0])
    sandbox.script(("create", 1, "reset_before"))
    node.round()
    sandbox.set(model_status={"nano-banana": "removed"})
    node.run_for(timedelta(minutes=5))
    before = (node.jobs(), node.entries())
    sandbox.set(model_status={"nano-banana": "available"})

    node.run_until_quiet()

    assert before == (["active"], [("hold", 3)])
    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


def test_status_says_which_model_is_waited_for_since_when_and_when_it_is_looked_at_next(
    node: Node, sandbox: Provider
) -> None:
    sandbox.set(model_status={"nano-banana": "coming_soon"})
    node.submit(*BANANAS)
    node.run_for(timedelta(minutes=2))

    found = node.overview().obstacle

    assert found is not None
    assert "does not offer the model nano-banana (model_unavailable: coming_soon) since 2020-11-22 12:00:0" in (
        found.reason
    )
    assert found.ends_by_itself


def test_an_operator_lets_a_paused_model_go_on(node: Node, sandbox: Provider) -> None:
    sandbox.set(model_status={"nano-banana": "removed"})
    node.submit(*BANANAS)
    node.run_for(timedelta(hours=1))
    sandbox.set(model_status={"nano-banana": "available"})
    by = node.author()

    control.resume(node.services.database, "default", by)
    node.run_for(timedelta(seconds=10))

    assert node.jobs() == ["succeeded"] * 3
    assert node.query("SELECT field, before FROM change") == [{"field": "model_pause", "before": "nano-banana"}]


def test_a_round_does_not_read_the_jobs_of_a_paused_model_that_wait_before_others(
    node: Node, sandbox: Provider
) -> None:
    """Else a million of them would be read in each round."""
    sandbox.set(model_status={"nano-banana": "removed"})
    many = [{"key": f"b{n}", "prompt": str(n), "model": "nano-banana"} for n in range(2_000)]
    node.submit(*many, *CHAIRS)
    node.run_for(timedelta(minutes=1))
    with node.services.database.transaction() as tx:
        account = accounts.read(tx, node.services.account_id)
        assert account is not None
        before = tx.exec_driver_sql(ROWS_READ).scalar_one()
        locked = batches.lock_waiting(
            tx, account.id, [Priority.BULK], room=10, now=node.clock(), paused_models=["nano-banana"]
        )
        rows = tx.exec_driver_sql(ROWS_READ).scalar_one() - before

    assert node.jobs()[-3:] == ["succeeded"] * 3
    assert (locked.waiting, dispatch.run(node.services).tickets) == ([], ())
    assert rows < 20
