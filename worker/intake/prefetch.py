"""References examined ahead of their requests, several at once; the requests keep their order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from worker.core.rules.fault import Fault
from worker.intake.manifest import CheckedRequest
from worker.intake.reference_store import Library

AT_ONCE = 4
"""References that are fetched, hashed and decoded at once: each may take 10 MB, and 200 MB for its pixels."""

AHEAD = 64
"""Requests that are read ahead, so that there is always a reference to examine; each may take a megabyte."""


def examined(items: Iterable[CheckedRequest | Fault], library: Library) -> Iterator[CheckedRequest | Fault]:
    """Yield the items in order; references are fetched ahead, and ``take`` waits until one is there."""
    waiting: deque[CheckedRequest | Fault] = deque()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reference") as pool:
        try:
            for item in items:
                for reference in item.references if isinstance(item, CheckedRequest) else ():
                    library.begin(reference, pool)
                waiting.append(item)
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
            yield from waiting
        finally:
            # Whoever stops early, such as with Ctrl-C, waits only for what has begun.
            pool.shutdown(cancel_futures=True)
