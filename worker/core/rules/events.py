"""The catalogue of events: what hooks can subscribe to, with an example of each event's data."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

MOST_EXAMPLES = 20
"""Jobs that one event lists at the most, whatever number it counts."""

_BATCH = {"id": "01990a3c-5d0e-7c31-9f3e-0a4e6a4f2b11", "name": "chairs", "owner": "shop"}
_ACCOUNT = {"id": "01990a3c-0000-7c31-9f3e-0a4e6a4f2b00", "name": "default"}
_WHEN = "2026-11-29T10:15:30.123456+00:00"
_DOUBT = {
    "job": "01990a3c-6d0e-7c31-9f3e-0a4e6a4f2b22",
    "key": "chair-0001",
    "generation": "01990a3c-7d0e-7c31-9f3e-0a4e6a4f2b33",
    "code": "deadline_passed",
}
_LIVE = {
    "sku": "c1",
    "file": "2026/11/29/ab/abcd.png",
    "url": "file:///srv/darkroom/images/2026/11/29/ab/abcd.png",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "mime_type": "image/png",
    "width": 1024,
    "height": 1024,
}


class EventType(StrEnum):
    """A type of event: its name, what it means, its data by example, and the version of that data's shape.

    A new type is one entry here and one ``outbox.emit`` where it happens. Keys may be added to the data of a version;
    whatever would break a consumer makes a new version.
    """

    meaning: str
    example: Mapping[str, Any]
    version: int

    def __new__(cls, name: str, meaning: str, example: Mapping[str, Any], version: int = 1) -> Self:
        """Make a member that is its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning, member.example, member.version = meaning, example, version
        return member

    BATCH_DONE = (
        "batch.done",
        (
            "Every job of a batch has ended. A batch whose jobs are retried, or of which a doubt is resolved, is done"
            " again."
        ),
        {
            "batch": _BATCH,
            "state": "open",
            "jobs": {"succeeded": 118, "failed": 1, "cancelled": 0, "in_doubt": 1},
            "credits": {"spent": 472, "reserved": 4, "committed": 476, "cap": 500},
            "created_at": _WHEN,
            "done_at": _WHEN,
        },
    )
    BATCH_HELD_UP = (
        "batch.held_up",
        (
            "A batch needs a person: `cap_reached`, its cap does not cover its next job, or `deadline_near`, at most an"
            " hour and a tenth of its time are left. Once for each cap and each deadline."
        ),
        {
            "batch": _BATCH,
            "reason": "cap_reached",
            "credits": {"committed": 476, "cap": 477, "next_job": 4},
            "deadline_at": None,
        },
    )
    ACCOUNT_PAUSED = (
        "account.paused",
        (
            "An account admits no paid work, for the reason given. Pauses but `operator` end by themselves when their"
            " cause does."
        ),
        {"account": _ACCOUNT, "reason": "insufficient_credits", "message": "top up", "paused_at": _WHEN},
    )
    ACCOUNT_RESUMED = (
        "account.resumed",
        "The pause of an account has ended.",
        {"account": _ACCOUNT, "reason": "insufficient_credits", "resumed_at": _WHEN},
    )
    JOB_IN_DOUBT = (
        "job.in_doubt",
        (
            "Jobs may have been paid for without an answer, and wait for a decision. Doubts of one batch that arise"
            f" within a few seconds are one event, which lists at most {MOST_EXAMPLES} of the jobs that it counts."
        ),
        {"batch": _BATCH, "jobs": 1, "credits": 4, "first": [_DOUBT]},
    )
    IMAGE_LIVE = (
        "image.live",
        "Items of a catalog show these images from now on, at most 500 in one event.",
        {"catalog": "mugs", "at": _WHEN, "by": "rita", "reason": "accepted", "items": [_LIVE]},
    )
    BUDGET_80 = (
        "budget.80",
        "A batch, or an owner in a month, has committed 80 % of its cap. Once for each cap.",
        {
            "scope": "owner",
            "owner": "shop",
            "month": "2026-11",
            "batch": None,
            "credits": {"committed": 800, "cap": 1000},
        },
    )
    BUDGET_100 = (
        "budget.100",
        "A batch, or an owner in a month, has less left of its cap than a job costs. Once for each cap.",
        {
            "scope": "batch",
            "owner": "shop",
            "month": None,
            "batch": _BATCH,
            "credits": {"committed": 476, "cap": 477},
        },
    )
    HOOK_TEST = (
        "hook.test",
        "A person tests the hook with `darkroom hook test`. Sent to that hook only; it cannot be subscribed to.",
        {"hook": "01990a3c-8d0e-7c31-9f3e-0a4e6a4f2b44", "by": "rita"},
    )


SUBSCRIBABLE = tuple(each for each in EventType if each is not EventType.HOOK_TEST)
"""What a hook may be added for."""
OF_CATALOGS = frozenset({EventType.IMAGE_LIVE})
"""What is of one catalog, so that a hook may be limited to one."""


def public_id(event_id: UUID) -> str:
    """Return the public id of an event, the same in all of its deliveries."""
    return f"evt_{event_id.hex}"


def internal_id(text: str) -> UUID:
    """Return the event of a public id, or of the id itself; raise ValueError."""
    return UUID(text.removeprefix("evt_"))


def batch_named(batch_id: UUID, name: str, owner: str) -> dict[str, str]:
    """Return how every event names a batch."""
    return {"id": str(batch_id), "name": name, "owner": owner}


def merged(doubts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the data of one ``job.in_doubt`` for several of the same batch."""
    first = [job for each in doubts for job in each["first"]]
    return {
        "batch": doubts[0]["batch"],
        "jobs": sum(each["jobs"] for each in doubts),
        "credits": sum(each["credits"] for each in doubts),
        "first": first[:MOST_EXAMPLES],
    }


def crossed(*, before: int, after: int, cap: int, price: int) -> tuple[EventType, ...]:
    """Return the thresholds that a budget reaches by going up from ``before`` to ``after`` credits.

    The last one is reached when what is left is less than ``price``.
    """
    found = []
    if before * 100 < cap * 80 <= after * 100:
        found.append(EventType.BUDGET_80)
    if cap - after < price:
        found.append(EventType.BUDGET_100)
    return tuple(found)
