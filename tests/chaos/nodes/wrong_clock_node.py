"""A worker node on a machine whose wall clock is off, and is set while it works.

By how much is in a file, in seconds: Python's ways to the wall clock are shifted before anything else is imported. The
monotonic clocks are left alone, as they are when a machine's clock is set. (libfaketime 0.9.10 would shift them below
Python, but breaks ``time.sleep`` of Python 3.11.)
"""

import datetime as dt
import os
import sys
import time
from pathlib import Path
from typing import Self

FILE = "TEST_WALL_CLOCK_FILE"

_real_time, _real_time_ns = time.time, time.time_ns
_real_localtime, _real_gmtime = time.localtime, time.gmtime


def offset_s() -> float:
    return float(Path(os.environ[FILE]).read_text(encoding="ascii"))


class ShiftedDatetime(dt.datetime):
    """Tells the wrong time where the class itself is asked for it."""

    __slots__ = ()

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Self:
        return cls.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Self:
        return cls.now()


def shift() -> None:
    time.time = lambda: _real_time() + offset_s()
    time.time_ns = lambda: _real_time_ns() + int(offset_s() * 1e9)
    time.localtime = lambda secs=None: _real_localtime(time.time() if secs is None else secs)
    time.gmtime = lambda secs=None: _real_gmtime(time.time() if secs is None else secs)
    dt.datetime = ShiftedDatetime  # type: ignore[misc]


if __name__ == "__main__":
    shift()
    from celery.__main__ import main

    sys.exit(main())
