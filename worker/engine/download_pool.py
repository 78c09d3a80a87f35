"""Threads of their own for downloading images: they wait for another host, which must not hold the provider's up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

log = structlog.get_logger(__name__)

Job = Callable[[], None]

WAITING_PER_THREAD = 2
"""Images that may wait for a thread; with more, they wait in the database, where any node finds them."""


class Collectors:
    """A bounded pool of threads; safe to share between threads."""

    def __init__(self, threads: int = 0) -> None:
        """Start no thread before there is something to do; without any, jobs are done where they are handed in."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="darkroom-collector") if threads else None
        self._room = threading.Semaphore(threads * (1 + WAITING_PER_THREAD))
        self._ending = threading.Event()
        self._entrance = threading.Lock()

    def take(self, do: Job, leave: Job) -> None:
        """Have ``do`` done soon in one of the threads; or ``leave``, when there is no room or the process is ending."""
        if self._pool is None:
            do()
        elif not self._is_taken(self._pool, do, leave):
            leave()

    def end(self) -> None:
        """Begin nothing more: what waits is left."""
        with self._entrance:
            self._ending.set()

    def drain(self) -> None:
        """Return when all that was begun has ended, and all that waited was left."""
        self.end()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _is_taken(self, pool: ThreadPoolExecutor, do: Job, leave: Job) -> bool:
        # The pool refuses with an error what comes after its end.
        with self._entrance:
            if self._ending.is_set() or not self._room.acquire(blocking=False):
                return False
            pool.submit(self._run, do, leave).add_done_callback(self._done)
            return True

    def _run(self, do: Job, leave: Job) -> None:
        (leave if self._ending.is_set() else do)()

    def _done(self, job: "Future[None]") -> None:
        self._room.release()
        if error := job.exception():
            # Its lease ends, and it is handed out again.
            log.error("step.failed", step="collect", exc_info=error)
