"""The same job as a plain Celery pipeline: a chain of three tasks, of which the second retries itself until it is done.

Set up with care: late acks, as for work that has been paid for; no results kept; the database pool as large as the
thread pool; no gossip, mingling or heartbeats between workers.
"""

import json
import os
import time
from functools import lru_cache
from typing import Any

from celery import Celery, chain
from celery.signals import worker_ready

from ops.bench.peers import pictures
from ops.bench.peers.pictures import POLL_AGAIN_S, THREADS, Pictures

READY = "celery is ready."
app = Celery("plain", broker=os.environ.get("BENCH_BROKER_URL"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_pool="threads",
    worker_concurrency=THREADS,
    worker_send_task_events=False,
    broker_pool_limit=THREADS + 4,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 900, "max_connections": 200},
)


@lru_cache(maxsize=1)
def parts() -> Pictures:
    """Return this process's parts."""
    return pictures.from_environment()


@app.task(name="plain.create")
def create(picture_id: str) -> tuple[str, str]:
    """Create the generation; its ids go to the next task of the chain."""
    return picture_id, parts().create(picture_id)


@app.task(name="plain.poll", bind=True, max_retries=None)
def poll(self: Any, ids: tuple[str, str]) -> tuple[str, str]:
    """Ask again until it has ended; the image's address goes to the next task of the chain."""
    picture_id, provider_id = ids
    url = parts().poll(picture_id, provider_id)
    if url is None:
        raise self.retry(countdown=POLL_AGAIN_S)
    return picture_id, url


@app.task(name="plain.download")
def download(found: tuple[str, str]) -> None:
    """Bring the image home."""
    parts().collect(*found)


def enqueue(count: int) -> None:
    """Write the rows and publish a chain for each, over one connection."""
    ids = pictures.insert(parts().engine, count)
    with app.producer_pool.acquire(block=True) as producer:
        for one in ids:
            chain(create.s(one), poll.s(), download.s()).apply_async(producer=producer)


@worker_ready.connect
def _say_ready(**_: object) -> None:
    print(READY, flush=True)


def main(arguments: list[str]) -> None:
    """Do: enqueue COUNT. Celery itself starts the worker."""
    started = time.perf_counter()
    enqueue(int(arguments[1]))
    print(json.dumps({"seconds": time.perf_counter() - started}))
