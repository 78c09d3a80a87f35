"""The wall clock of a node, to be set while it works, and what must not be stored because of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.acceptance.nodes import WorkerNode
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos.nodes.wrong_clock_node import FILE

DAY_S = 86_400
STEPS_S = (DAY_S, -DAY_S, 400 * DAY_S, 600, -600)

BEYOND = """
    SELECT next_slot_at > now() + interval '1 minute' OR coalesce(blocked_until > now() + interval '1 minute', false)
        OR raised_at > now() + interval '1 minute' AS is_beyond FROM account"""

FROZEN = """
    WITH due AS (UPDATE maintenance SET due_at = now() + interval '1 day')
    UPDATE account SET next_slot_at = now() + interval '1 day', raised_at = now() + interval '1 day'"""


@dataclass(frozen=True, kw_only=True)
class WallClock:
    """The wall clock of one node."""

    file: Path

    def set(self, offset_s: float) -> None:
        """Set the clock this many seconds ahead of the real one."""
        part = self.file.with_suffix(".part")
        part.write_text(str(offset_s), encoding="ascii")
        part.replace(self.file)


def node(world: World, environment: Mapping[str, str], *, offset_s: float = 0) -> tuple[WorkerNode, WallClock]:
    """Start a node whose wall clock can be set, and return both when it works."""
    clock = WallClock(file=world.folder / f"clock-{len(world.nodes)}")
    clock.set(offset_s)
    started = world.node(module="tests.chaos.nodes.wrong_clock_node", **environment, **{FILE: str(clock.file)})
    return started, clock


def step_through(world: World, clock: WallClock, *, images_each: int) -> None:
    """Set the clock again and again; after each time so many more images come."""
    for offset_s in STEPS_S:
        clock.set(offset_s)
        wanted = world.count("result") + images_each
        until(partial(_has_images, world, wanted), f"images come with the clock {offset_s} s off")


def _has_images(world: World, wanted: int) -> bool:
    return world.count("result") >= wanted


def nothing_lies_ahead(world: World) -> bool:
    """Return whether no slot, step or maintenance of the account is due later than the longest wait."""
    return not (
        any(row["is_beyond"] for row in world.query(BEYOND))
        or world.count("step", "due_at > now() + interval '15 minutes'")
        or world.count("maintenance", "due_at > now() + make_interval(secs => every_s + 60)")
    )


def pass_most_of_the_window(world: World, *, seconds: float) -> None:
    """Move the clock of sent requests, their steps and the provider forward by this many seconds."""
    world.query(
        """
        UPDATE generation SET first_sent_at = first_sent_at - make_interval(secs => :s),
            last_sent_at = last_sent_at - make_interval(secs => :s),
            admitted_at = admitted_at - make_interval(secs => :s)""",
        s=seconds,
    )
    world.query(
        "UPDATE step SET due_at = due_at - make_interval(secs => :s), lease_until = NULL,"
        " since = since - make_interval(secs => :s)",
        s=seconds,
    )
    world.provider.advance(seconds)
