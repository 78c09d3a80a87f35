"""A worker node that goes deaf when it is told to: its consumer lives and takes no message any more.

``SIGURG`` makes the channels that it has now deaf, ``SIGWINCH`` every channel that it will ever have; the signals for
users are Celery's.
"""

import gc
import signal
import sys
from datetime import timedelta
from types import FrameType

from celery.__main__ import main
from kombu.transport.redis import QoS

from worker.node import consumer_watchdog


def deafen_once(number: int, frame: FrameType | None) -> None:
    for each in gc.get_objects():
        if isinstance(each, QoS):
            each.can_consume = lambda: False  # type: ignore[method-assign]


def deafen_for_good(number: int, frame: FrameType | None) -> None:
    QoS.can_consume = lambda _: False  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    consumer_watchdog.GRACE_PERIOD = timedelta(seconds=1)
    consumer_watchdog.LOOK_EVERY = timedelta(seconds=0.3)
    signal.signal(signal.SIGURG, deafen_once)
    signal.signal(signal.SIGWINCH, deafen_for_good)
    sys.exit(main())
