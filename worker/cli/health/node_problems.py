"""Problems of running nodes: no sign of life, a dispatcher that makes no progress, a wall clock that is off."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from worker.node.queries import nodes
from worker.node.queries.nodes import NodeRow

SET_THE_CLOCK = "set the clock of that machine (NTP): its log and its TLS connections go by it"

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
