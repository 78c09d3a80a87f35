"""Another user of the account, who takes a part of its limit at random instants."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from ops.bench.ground import TIMEOUT_S, Sandbox

SHARE = 1 / 3
"""Of the limit, what a neighbour takes on average."""


@dataclass
class Neighbour:
    """What it has sent so far."""

    sent: int = 0
    refused: int = 0


@contextmanager
def using(provider: Sandbox, *, per_s: float) -> Iterator[Neighbour]:
    """Let a neighbour read its wallet so many times a second, with exponential gaps, until the block ends; 0: none."""
    seen, is_over = Neighbour(), threading.Event()
    thread = threading.Thread(target=_send, args=(provider, per_s, seen, is_over), daemon=True)
    if per_s > 0:
        thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        if thread.is_alive():
            thread.join()


def _send(provider: Sandbox, per_s: float, seen: Neighbour, is_over: threading.Event) -> None:
    chance = random.Random(1)
    headers = {"Authorization": f"Bearer {provider.key}"}
    with requests.Session() as session:
        while not is_over.wait(chance.expovariate(per_s)):
            answer = session.get(f"{provider.base_url}/api/v1/credits", headers=headers, timeout=TIMEOUT_S)
            seen.sent += 1
            seen.refused += answer.status_code == requests.codes.too_many_requests
