"""The same job with procrastinate: one task creates and defers the other, which polls, retries itself, and downloads.

Set up as its documentation says: asynchronous tasks, whose blocking parts run in as many threads as there are jobs at
once; LISTEN/NOTIFY on; jobs deferred in bulk; finished jobs deleted, so that its table stays small.
"""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import procrastinate
from procrastinate.exceptions import JobRetry

from ops.bench.peers import pictures
from ops.bench.peers.pictures import POLL_AGAIN_S, THREADS, Pictures

_BULK = 1000
READY = "procrastinate is ready."


@lru_cache(maxsize=1)
def parts() -> Pictures:
    """Return this process's parts."""
    return pictures.from_environment()


def _address() -> str:
    return os.environ["BENCH_DATABASE_URL"].replace("+psycopg", "", 1)


def make_app() -> Any:
    """Make the application on the benchmark's own database."""
    connector = procrastinate.PsycopgConnector(conninfo=_address(), min_size=4, max_size=THREADS + 4)
    return procrastinate.App(connector=connector)


app = make_app()


async def _create(picture_id: str) -> None:
    provider_id = await asyncio.to_thread(parts().create, picture_id)
    await follow.defer_async(picture_id=picture_id, provider_id=provider_id)


async def _follow(picture_id: str, provider_id: str) -> None:
    is_done = await asyncio.to_thread(_poll_and_download, picture_id, provider_id)
    if not is_done:
        raise JobRetry(procrastinate.RetryDecision(retry_in={"seconds": POLL_AGAIN_S}))


def _poll_and_download(picture_id: str, provider_id: str) -> bool:
    url = parts().poll(picture_id, provider_id)
    if url is not None:
        parts().collect(picture_id, url)
    return url is not None


create: Any = app.task(name="create", queue="create")(_create)
follow: Any = app.task(name="follow", queue="follow")(_follow)


def enqueue(count: int) -> None:
    """Write the rows and defer a job for each, in bulk."""
    ids = pictures.insert(parts().engine, count)
    with app.open():
        for first in range(0, count, _BULK):
            create.batch_defer(*({"picture_id": one} for one in ids[first : first + _BULK]))


async def work() -> None:
    """Run one worker until it is told to end."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with app.open_async():
        print(READY, flush=True)
        await app.run_worker_async(concurrency=THREADS, delete_jobs="successful")


def main(arguments: list[str]) -> None:
    """Do one of: schema, enqueue COUNT, work."""
    match arguments:
        case ["schema"]:
            with app.open():
                app.schema_manager.apply_schema()
        case ["enqueue", count]:
            started = time.perf_counter()
            enqueue(int(count))
            print(json.dumps({"seconds": time.perf_counter() - started}))
        case _:
            asyncio.run(work())
