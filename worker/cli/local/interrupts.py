"""What Ctrl-C, SIGTERM and SIGHUP do: the first one ends the work in order, the next one forces it to end at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """This process received a signal to end."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped in the main thread when one of the signals arrives."""
    former = {number: signal.signal(number, _stop) for number in _SIGNALS}
    try:
        yield
    finally:
        _restore(former)


class GracefulShutdown:
    """While this lasts the signals interrupt nothing: the first one only forces the shutdown to hurry."""

    def __init__(self, told: Callable[[], None]) -> None:
        """``told`` is called when the shutdown is forced."""
        self._told = told
        self._is_forced = False

    def is_forced(self) -> bool:
        """Whether a signal came."""
        return self._is_forced

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _restore(self._former)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's shape
        if not self._is_forced:
            self._is_forced = True
            self._told()


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's shape
    raise Stopped


def _restore(former: dict[signal.Signals, Any]) -> None:
    for number, handler in former.items():
        signal.signal(number, handler)
