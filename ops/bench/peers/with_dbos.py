"""The same job with DBOS: one durable workflow per image, with a step each for create, poll and download.

Set up as its documentation says: a queue with a limit per worker, looked at often; connections for every thread; the
workflow's id is the image's, so that a second submission changes nothing; workflows enqueued in one transaction.
"""

import json
import os
import threading
import time
from functools import lru_cache
from typing import Any

import dbos
from dbos import DBOS, DBOSClient

from ops.bench.peers import pictures
from ops.bench.peers.pictures import POLL_AGAIN_S, THREADS, Pictures

QUEUE = "pictures"
LOOK_EVERY_S = 0.02
"""Tried: 1 s (the default), 0.1 s and 0.02 s; with 16 at once it is the wait of a free place for its next image."""
READY = "dbos is ready."


@lru_cache(maxsize=1)
def parts() -> Pictures:
    """Return this process's parts."""
    return pictures.from_environment()


def _create(picture_id: str) -> str:
    return parts().create(picture_id)


def _poll(picture_id: str, provider_id: str) -> str | None:
    return parts().poll(picture_id, provider_id)


def _download(picture_id: str, url: str) -> None:
    parts().collect(picture_id, url)


create: Any = DBOS.step(name="create")(_create)
poll: Any = DBOS.step(name="poll")(_poll)
download: Any = DBOS.step(name="download")(_download)


def _render(picture_id: str) -> None:
    provider_id = create(picture_id)
    while (url := poll(picture_id, provider_id)) is None:
        DBOS.sleep(POLL_AGAIN_S)
    download(picture_id, url)


render: Any = DBOS.workflow(name="render")(_render)


def _settings() -> Any:
    return {
        "name": "bench",
        "system_database_url": os.environ["BENCH_DATABASE_URL"],
        "sys_db_pool_size": THREADS + 4,
        "log_level": "WARNING",
        "run_admin_server": False,
        "application_version": "bench",
    }


def enqueue(count: int) -> None:
    """Write the rows and enqueue a workflow for each, in one transaction."""
    engine = parts().engine
    ids = pictures.insert(engine, count)
    client = DBOSClient(system_database_url=os.environ["BENCH_DATABASE_URL"])
    with engine.begin() as tx:
        for one in ids:
            options = {"queue_name": QUEUE, "workflow_name": "render", "workflow_id": one, "app_version": "bench"}
            client.enqueue_in_transaction(tx, dbos.EnqueueOptions(**options), one)
    client.destroy()


def work() -> None:
    """Run one worker until it is told to end."""
    DBOS(config=_settings())
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=THREADS, polling_interval_sec=LOOK_EVERY_S)
    print(READY, flush=True)
    threading.Event().wait()


def main(arguments: list[str]) -> None:
    """Do one of: schema, enqueue COUNT, work."""
    match arguments:
        case ["schema"]:
            DBOS(config=_settings())
            DBOS.launch()
            DBOS.destroy()
        case ["enqueue", count]:
            started = time.perf_counter()
            enqueue(int(count))
            print(json.dumps({"seconds": time.perf_counter() - started}))
        case _:
            work()
