"""What a live job does next, and how long one try of it may take."""

from datetime import timedelta
from enum import StrEnum


class StepKind(StrEnum):
    """The next outside effect of a job; each has a Celery task and a queue of the same name."""

    UPLOAD = "upload"
    """Give the provider the reference image."""
    SUBMIT = "submit"
    """Create the paid generation."""
    POLL = "poll"
    """Ask whether it has ended."""
    COLLECT = "collect"
    """Download the image."""


HTTP_CONNECT = timedelta(seconds=5)
"""The longest wait for a connection to the provider."""

HTTP_SEND = timedelta(seconds=45)
"""The longest time for sending a reference: 10 MB at a quarter of a megabyte a second."""

HTTP_READ = timedelta(seconds=15)
"""The longest wait between two bytes of an answer."""

HTTP_TOTAL = timedelta(seconds=40)
"""The longest time for a whole call: connecting, sending and reading its answer share it."""

COLLECT_TOTAL = timedelta(seconds=60)
"""The longest time for downloading one image."""

COLLECT_WAIT = timedelta(seconds=20)
"""The longest time for which an image that a worker has waits for a thread."""

CALL = HTTP_TOTAL
"""The longest time for a whole call that sends little."""

LEASES: dict[StepKind, timedelta] = {
    StepKind.UPLOAD: CALL + HTTP_SEND + timedelta(seconds=35),
    StepKind.SUBMIT: CALL + timedelta(seconds=5),
    StepKind.POLL: CALL + timedelta(seconds=5),
    StepKind.COLLECT: COLLECT_WAIT + CALL + COLLECT_TOTAL + timedelta(seconds=10),
}
"""How long a worker owns a step that it has claimed.

Each is longer than the slowest calls inside it, so that a step is never done twice at once unless a worker has stood
still for so long that its fence is stale.
"""

QUEUED_LEASE = timedelta(seconds=20)
"""How long a message may lie in the broker before the dispatcher takes the step for lost."""
