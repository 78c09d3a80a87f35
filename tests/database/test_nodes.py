"""Each living node has one row, by the server's clock."""

from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from worker.cli.health import serving
from worker.core.db.session import Database
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat, NodeRow


def beat(
    database: Database,
    node_id: UUID,
    *,
    round_age_s: float | None = 0.0,
    offset_s: float = 0.0,
    error: str | None = None,
) -> None:
    said = Beat(
        node_id=node_id,
        name="host:1",
        version="0.1.0",
        round_age_s=round_age_s,
        clock_offset_s=offset_s,
        error=error,
    )
    with database.transaction() as tx:
        nodes.beat(tx, said)


def found(database: Database) -> list[NodeRow]:
    with database.transaction() as tx:
        return nodes.read_all(tx)


def age(database: Database, node_id: UUID, *, seconds: int) -> None:
    with database.transaction() as tx:
        moved = "UPDATE node SET seen_at = seen_at - make_interval(secs => :s) WHERE id = :id"
        tx.execute(text(moved), {"s": seconds, "id": node_id})


def test_a_node_that_beats_again_has_one_row_with_its_last_round_and_its_clock(database: Database) -> None:
    node_id = uuid7()

    beat(database, node_id, round_age_s=None)
    beat(database, node_id, round_age_s=2.0, offset_s=86400.0)

    [row] = found(database)
    assert row.last_round_at is not None
    assert 1.0 < (row.seen_at - row.last_round_at).total_seconds() < 3.0
    assert (row.id, row.is_alive, row.clock_offset_s) == (node_id, True, 86400.0)


def test_a_node_that_was_not_seen_lately_is_not_alive(database: Database) -> None:
    node_id = uuid7()
    beat(database, node_id)

    age(database, node_id, seconds=60)

    assert [row.is_alive for row in found(database)] == [False]


def test_a_node_whose_dispatcher_completed_no_round_lately_is_reported(database: Database) -> None:
    beat(database, uuid7(), round_age_s=90.0)

    with database.transaction() as tx:
        assert [each.said for each in serving.of_running(tx)] == ["node host:1: no dispatch round for 1.5 min"]


def test_a_node_says_why_its_dispatcher_completes_no_round(database: Database) -> None:
    beat(database, uuid7(), round_age_s=90.0, error="KeyError: 'no-such-model'")

    with database.transaction() as tx:
        said = [each.said for each in serving.of_running(tx)]
    assert said == ["node host:1: no dispatch round for 1.5 min (KeyError: 'no-such-model')"]


def test_a_node_that_completes_rounds_has_no_problem(database: Database) -> None:
    beat(database, uuid7())

    with database.transaction() as tx:
        assert (serving.of_running(tx), serving.of_all(tx)) == ([], [])


def test_a_node_that_did_not_end_and_is_not_seen_is_reported(database: Database) -> None:
    node_id = uuid7()
    beat(database, node_id)

    age(database, node_id, seconds=60)

    with database.transaction() as tx:
        [problem] = serving.of_all(tx)
    assert problem.said.startswith("node host:1: not seen since ")


def test_a_node_that_is_long_gone_is_forgotten_when_another_beats(database: Database) -> None:
    gone, alive = uuid7(), uuid7()
    beat(database, gone)
    age(database, gone, seconds=2 * 3600)

    beat(database, alive)

    assert [row.id for row in found(database)] == [alive]


def test_a_node_that_ends_has_no_row(database: Database) -> None:
    node_id = uuid7()
    beat(database, node_id)

    with database.transaction() as tx:
        nodes.remove(tx, node_id)

    assert found(database) == []
