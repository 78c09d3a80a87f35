"""Worker nodes as the database sees them: whether one serves it, and the problems of running ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from worker.cli import output
from worker.node.queries import nodes
from worker.node.queries.nodes import NodeRow

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.core.db.session import Database


def count(database: "Database") -> int:
    """Return how many worker nodes of this database are alive, as their rows say."""
    with database.transaction() as tx:
        return nodes.count_alive(tx)


def warn_without_node(context: "Context", database: "Database") -> None:
    """Warn on standard error when no node serves this database, with the command that starts one."""
    if count(database) == 0:
        said = _starting(context) or f"{_reason(context)}: {_next_step(context)}"
        output.notes().print(said, style="yellow", markup=False)


def _starting(context: "Context") -> str:
    """Return that `darkroom up` of this home and mode has no node at work yet; empty where none runs."""
    from worker.cli.local import running

    if not _is_embedded(context) or not running.is_up(context.home, mode=context.mode):
        return ""
    return (
        "`darkroom up` runs, and its worker node is not ready yet: jobs start in a few seconds"
        " (if they do not, see `darkroom logs node1`)."
    )


def _reason(context: "Context") -> str:
    place = f" in {context.mode} mode ({context.home})" if _is_embedded(context) else " on this database"
    return f"No worker node runs{place}, so jobs wait"


def _next_step(context: "Context") -> str:
    from worker.cli.context import other_mode

    if not _is_embedded(context):
        return "start one with `darkroom node`, or with `darkroom up`."
    found = other_mode()
    if found is not None and _has_node(found[0]):
        key = "without RIVYA_API_KEY" if context.is_play else "with RIVYA_API_KEY set"
        return f"`darkroom up` runs in {found[1]} mode; run `darkroom up` {key}, too."
    return "start one with `darkroom up` in another terminal."


def _is_embedded(context: "Context") -> bool:
    from worker.local import services

    url = context.settings.database_url
    return url is not None and services.is_own_url(context.home, url.get_secret_value())


def _has_node(url: str) -> bool:
    from sqlalchemy.exc import DBAPIError

    from worker.core.db.session import Database

    database = Database(url, connections=1)
    try:
        return count(database) > 0
    except DBAPIError:
        return False
    finally:
        database.close()


SET_THE_CLOCK = "set the clock of that machine (NTP): its log and its TLS connections use it"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, kw_only=True)
class NodeProblem:
    """What is wrong with a node, in a sentence, and the next step."""

    check: str
    """The check of ``darkroom doctor`` that it belongs to."""
    said: str
    next_step: str


def of_running(tx: Connection) -> list[NodeProblem]:
    """Return the problems of the nodes that renewed their row lately."""
    return [problem for node in nodes.read_all(tx) if node.is_alive for problem in _of(node)]


def of_all(tx: Connection) -> list[NodeProblem]:
    """Return these, and a problem for each node that neither ended properly nor renewed its row lately."""
    return [problem for node in nodes.read_all(tx) for problem in (_of(node) if node.is_alive else [_silence(node)])]


def off_by(seconds: float) -> str:
    """Return by how much a clock is off: ``1 d ahead of``."""
    return f"{_span(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'}"


def _silence(node: NodeRow) -> NodeProblem:
    return NodeProblem(
        check="nodes",
        said=f"node {node.name}: not seen since {node.seen_at:%Y-%m-%d %H:%M:%S} UTC; it was killed, hangs,"
        " or cannot reach the database",
        next_step="look at its log and start it again; other nodes take over its work when its leases expire",
    )


def _of(node: NodeRow) -> Iterator[NodeProblem]:
    if node.is_stalled:
        since = node.last_round_at or node.started_at
        yield NodeProblem(
            check="nodes",
            said=f"node {node.name}: no dispatch round for {_span((node.seen_at - since).total_seconds())}"
            + (f" ({node.error})" if node.error else ""),
            next_step="look for dispatcher errors in its log; a node that stays stalled ends itself: start it again",
        )
    if abs(node.clock_offset_s) > nodes.OFF_S:
        yield NodeProblem(
            check="clock",
            said=f"node {node.name}: its clock is {off_by(node.clock_offset_s)} the database's;"
            " it works on the database's time",
            next_step=SET_THE_CLOCK,
        )


def _span(seconds: float) -> str:
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds / size:.3g} {unit}"
