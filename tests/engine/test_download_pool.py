import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from worker.engine.services import WAITING_PER_THREAD, Collectors

SOON_S = 10


@dataclass
class Download:
    """A job that goes on until it is let go, and what became of it."""

    may_end: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False
    is_left: bool = False

    def do(self) -> None:
        self.begun.set()
        self.may_end.wait(SOON_S)
        self.is_done = True

    def leave(self) -> None:
        self.is_left = True


@pytest.fixture
def collectors() -> Iterator[Collectors]:
    """Yield a pool of one thread."""
    opened = Collectors(1)
    yield opened
    opened.drain()


def begun(collectors: Collectors) -> Download:
    """Return a download that the thread is at."""
    download = Download()
    collectors.take(download.do, download.leave)
    assert download.begun.wait(SOON_S)
    return download


def waiting(collectors: Collectors) -> Download:
    download = Download()
    download.may_end.set()
    collectors.take(download.do, download.leave)
    return download


def fail() -> None:
    raise RuntimeError


def test_a_caller_that_hands_a_job_in_does_not_wait_for_it(collectors: Collectors) -> None:
    slow = begun(collectors)

    assert not slow.is_done
    slow.may_end.set()


def test_as_many_wait_as_there_is_room_for_and_more_are_left(collectors: Collectors) -> None:
    slow = begun(collectors)

    others = [waiting(collectors) for _ in range(WAITING_PER_THREAD + 1)]

    assert [other.is_left for other in others] == [False] * WAITING_PER_THREAD + [True]
    slow.may_end.set()


def test_a_job_that_fails_makes_room_for_another(collectors: Collectors) -> None:
    collectors.take(fail, fail)

    next_ = begun(collectors)

    others = [waiting(collectors) for _ in range(WAITING_PER_THREAD)]
    assert [other.is_left for other in others] == [False] * WAITING_PER_THREAD
    next_.may_end.set()


def test_at_the_end_what_was_begun_is_finished_and_what_waits_is_left(collectors: Collectors) -> None:
    slow, other = begun(collectors), waiting(collectors)
    collectors.end()
    slow.may_end.set()

    collectors.drain()

    assert (slow.is_done, slow.is_left) == (True, False)
    assert (other.is_done, other.is_left) == (False, True)


def test_what_comes_after_the_end_is_left(collectors: Collectors) -> None:
    collectors.drain()

    late = waiting(collectors)

    assert (late.is_done, late.is_left) == (False, True)


def test_without_threads_a_job_is_done_where_it_is_handed_in() -> None:
    download = waiting(Collectors())

    assert download.is_done
