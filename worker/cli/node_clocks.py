"""Which nodes have a wall clock that is off, in words."""

from sqlalchemy import Connection

from worker.db import nodes

NEXT_STEP = "set the clock of that machine (NTP): its log and its TLS connections go by it"

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def wrong(tx: Connection) -> list[str]:
    """Return a sentence for each living node whose wall clock differs from the database's."""
    return [
        f"node {node.name}: its clock is {off_by(node.clock_offset_s)} the database's; it works on the database's time"
        for node in nodes.read_all(tx)
        if node.is_alive and abs(node.clock_offset_s) > nodes.OFF_S
    ]


def off_by(seconds: float) -> str:
    """Say by how much a clock is off: ``1 d ahead of``."""
    size, unit = next((each for each in _UNITS if abs(seconds) >= each[0]), _UNITS[-1])
    return f"{abs(seconds) / size:.3g} {unit} {'ahead of' if seconds > 0 else 'behind'}"
