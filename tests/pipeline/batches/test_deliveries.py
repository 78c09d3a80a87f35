"""Messages that come twice, late, or to another node; and what is never open while the provider is called."""

from datetime import timedelta

from sqlalchemy import Engine, create_engine, text

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.engine import dispatch

ROWS = "SELECT id, state, body, sends, answers, polls, final FROM generation ORDER BY id"
OPEN = """
    SELECT state, query FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()
        AND xact_start IS NOT NULL"""


class Watch:
    """A listener that notes every transaction that is open while an outside call is made."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        self.calls: list[str] = []
        self.found: list[str] = []

    def __call__(self, effect: str) -> None:
        if "commit" not in effect:
            self.calls.append(effect)
            with self.engine.connect() as connection:
                self.found += [f"{effect}: {row.query}" for row in connection.execute(text(OPEN))]


def test_messages_that_come_twice_change_nothing(node: Node, sandbox: Provider) -> None:
    pictures.reference(node.folder)
    node.deliveries = 2
    node.submit({"prompt": "1", "reference": "reference.png"}, {"prompt": "2"}, {"prompt": "3"})
    sandbox.script(("create", 1, "lost_reply"), ("create", 2, "fail_generation"))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 3
    books.check_all_done(node, sandbox)


def test_messages_that_come_again_after_the_end_make_no_request(node: Node, sandbox: Provider) -> None:
    pictures.reference(node.folder)
    node.submit({"prompt": "1", "reference": "reference.png"}, {"prompt": "2"})
    node.run_until_quiet()
    rows, requests = node.query(ROWS), sandbox.books()["requests"]

    node.deliver(list(node.handed_out))

    assert node.query(ROWS) == rows
    assert sandbox.books()["requests"] == requests


def test_a_message_that_comes_after_its_lease_is_harmless(node_for: NodeFor, sandbox: Provider) -> None:
    late, prompt = node_for(), node_for()
    late.submit({"prompt": "1"})
    tickets = dispatch.run(late.services).tickets
    late.clock.advance(timedelta(minutes=2))
    prompt.run_until_quiet()

    late.deliver(tickets)

    assert late.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(late, sandbox)


def test_nodes_that_take_turns_make_one_generation_per_job(node_for: NodeFor, sandbox: Provider) -> None:
    first, second = node_for(), node_for()
    first.submit(*({"prompt": str(n)} for n in range(12)))
    first.round()
    second.round()
    second.clock.advance(timedelta(seconds=10))
    second.round()

    first.run_until_quiet()

    assert first.jobs() == ["succeeded"] * 12
    assert len(sandbox.tasks()) == 12
    books.check_all_done(first, sandbox)


def test_no_transaction_is_open_while_something_outside_is_called(
    node_for: NodeFor, database_url: str, sandbox: Provider
) -> None:
    watch = Watch(database_url)
    node = node_for(listener=watch)
    pictures.reference(node.folder)
    node.submit({"prompt": "1", "reference": "reference.png"}, {"prompt": "2"})
    sandbox.script(("create", 1, "lost_reply"), ("get", 1, "http_503"))

    node.run_until_quiet()

    watch.engine.dispose()
    assert {"before upload", "before create", "before get", "before put"} <= set(watch.calls)
    assert watch.found == []


def test_sixty_jobs_with_five_percent_of_every_fault_end_with_agreeing_books(node: Node, sandbox: Provider) -> None:
    shares = {"lost_reply": 0.05, "http_500_html": 0.05, "reset_after": 0.05, "fail_generation": 0.05}
    node.submit(*({"prompt": str(n), "image_size": "square"} for n in range(60)))
    sandbox.set(faults={"create": shares, "get": {"http_503": 0.05}, "download": {"truncated_download": 0.05}})

    node.run_until_quiet()

    assert set(node.jobs()) <= {"succeeded", "failed"}
    books.check_all_done(node, sandbox)
