"""The receiver of webhooks on a port of this machine, in a thread of the process that asks for it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import uvicorn
from starlette.applications import Starlette

from worker.accounts.webhooks import RECEIVED_AT
from worker.core.db.session import Database
from worker.web import receiver

_START_S = 10.0


@contextmanager
def receiving(database: Database, clock: Callable[[], datetime]) -> Iterator[str]:
    """Yield the address below which endpoints may be registered; the server ends with the block."""
    app = Starlette(routes=receiver.routes(database, clock))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, name="receiver", daemon=True)
    thread.start()
    try:
        ends_at = time.monotonic() + _START_S
        while not server.started:
            if time.monotonic() > ends_at:
                raise TimeoutError("the receiver does not begin to listen")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}{RECEIVED_AT.rstrip('/')}"
    finally:
        server.should_exit = True
        thread.join(timeout=_START_S)
