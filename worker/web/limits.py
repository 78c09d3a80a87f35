"""Bounds of the HTTP API: requests, uploads, streams, bytes and seconds, for all clients and for each of them."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from worker.settings import Settings
from worker.storage.images import MAX_REFERENCE_BYTES
from worker.web.problems import Problem
from worker.web.rules import rate_limit
from worker.web.rules.rate_limit import RatePolicy, Verdict


@dataclass(frozen=True, kw_only=True)
class ApiLimits:
    """What one web process takes; a client is one token or one user."""

    requests: RatePolicy = field(default_factory=lambda: RatePolicy(quota=6_000, window_s=60))
    """Of one client."""
    streams: int = 1_000
    """Streams of events that are open at once."""
    streams_of_one: int = 500
    uploads: int = 16
    """Submissions that are received or checked at once; each has its files on the disk."""
    uploads_of_one: int = 4
    body_bytes: int = 1 << 30
    """Of an upload of lines, all its parts together."""
    json_bytes: int = 16 << 20
    """Of a submission that is one JSON document, which is held in memory."""
    control_bytes: int = 64 << 10
    """Of every other body, and of the part ``batch`` of an upload."""
    reference_bytes: int = MAX_REFERENCE_BYTES
    """Of one reference image."""
    files: int = 10_000
    """Reference images of one upload."""
    lines: int = 1_000_000
    """Requests of one batch."""
    grace_s: float = 10.0
    """For so long a body may come as slowly as it likes."""
    slowest_bytes_s: float = 2_048.0
    """After that, this many bytes a second on average, counted from the beginning."""
    heartbeat_s: float = 15.0
    """Between two comments in a stream that has nothing to tell."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the bounds that the settings choose."""
        return cls(
            requests=RatePolicy(quota=settings.api_requests, window_s=60),
            streams=settings.api_streams,
            streams_of_one=settings.api_streams_of_one,
            uploads=settings.api_uploads,
            uploads_of_one=settings.api_uploads_of_one,
            body_bytes=settings.api_upload_bytes,
            json_bytes=settings.api_json_bytes,
            control_bytes=settings.api_control_bytes,
            files=settings.api_files,
            lines=settings.api_lines,
            grace_s=settings.api_body_grace.total_seconds(),
            slowest_bytes_s=settings.api_body_rate,
            heartbeat_s=settings.api_heartbeat.total_seconds(),
        )


RETRY_S = 5
"""What a client is told to wait for that found all places taken."""
_REMEMBERED = 10_000


class RequestRates:
    """The requests of each client; for the thread of the event loop."""

    def __init__(self, policy: RatePolicy) -> None:
        """Start with none."""
        self.policy = policy
        self._busy_until_s: dict[str, float] = {}

    def spend(self, client: str) -> Verdict:
        """Count one request of the client."""
        now_s = time.monotonic()
        if len(self._busy_until_s) > _REMEMBERED:
            self._busy_until_s = {who: until for who, until in self._busy_until_s.items() if until > now_s}
        until_s, verdict = rate_limit.spend(self.policy, self._busy_until_s.get(client, now_s), now_s=now_s)
        self._busy_until_s[client] = until_s
        return verdict


class Places:
    """A limit of concurrent streams, in all and per client; for the event loop's thread."""

    def __init__(self, what: str, *, total: int, of_one: int) -> None:
        """Start with all of them free; ``what`` takes them, in the plural."""
        self._what, self._total, self._of_one = what, total, of_one
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken.total()

    @contextmanager
    def taking(self, client: str) -> Iterator[None]:
        """Take a place for as long as the block lasts; raise Problem when there is none."""
        if self._taken[client] >= self._of_one:
            raise Problem(
                429, f"too_many_{self._what}", f"{client} has {self._of_one} {self._what} open already: end one first",
                headers={"Retry-After": str(RETRY_S)},
            )  # fmt: skip
        if self.taken >= self._total:
            raise Problem(
                503, f"too_many_{self._what}", f"this server has {self._total} {self._what} open already: try again",
                headers={"Retry-After": str(RETRY_S)},
            )  # fmt: skip
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            self._taken += Counter()  # drops the clients that have none
