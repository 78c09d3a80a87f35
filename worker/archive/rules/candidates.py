"""Why a batch that has ended stays in the tables."""

from enum import StrEnum


class Obstacle(StrEnum):
    """The first thing that keeps a batch from being archived."""

    UNFINISHED = "unfinished"
    IN_DOUBT = "in_doubt"
    NOT_DOWNLOADED = "not_downloaded"
    UNSEALED = "unsealed"
    IN_CATALOG = "in_catalog"
    IN_OPERATION = "in_operation"
    APPROVAL = "approval"
    EVENTS = "events"

    @property
    def reason(self) -> str:
        """Return it as a phrase about the batch."""
        return _REASONS[self]

    @property
    def next_step(self) -> str:
        """Return what a person can do about it."""
        return _NEXT_STEPS[self]


_REASONS = {
    Obstacle.UNFINISHED: "has jobs that have not ended",
    Obstacle.IN_DOUBT: "has a generation that may still be charged",
    Obstacle.NOT_DOWNLOADED: "has a paid image that is not in the store",
    Obstacle.UNSEALED: "has entries, calls or results that no seal binds yet",
    Obstacle.IN_CATALOG: "made images of a catalog, which shows them",
    Obstacle.IN_OPERATION: "is part of a bulk operation that has not ended",
    Obstacle.APPROVAL: "waits for a second person",
    Obstacle.EVENTS: "has events that were not delivered yet",
}
_NEXT_STEPS = {
    Obstacle.UNFINISHED: "nothing, or `darkroom cancel BATCH`",
    Obstacle.IN_DOUBT: "`darkroom audit in-doubt`",
    Obstacle.NOT_DOWNLOADED: "`darkroom retry BATCH`",
    Obstacle.UNSEALED: "nothing: it is sealed within the hour while a node runs",
    Obstacle.IN_CATALOG: "nothing: batches of catalogs stay",
    Obstacle.IN_OPERATION: "wait for the operation, or cancel it",
    Obstacle.APPROVAL: "approve it, or let it be",
    Obstacle.EVENTS: "`darkroom hook list` names hooks that fail",
}
