"""The HTTP listener of a node: /metrics, /healthz and /readyz, for Prometheus and for probes."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from worker.node.rules.readiness import Readiness

log = structlog.get_logger(__name__)
_CLIENT_S = 5.0
"""How long a client may be silent."""
_JSON = "application/json"


class MetricsServer:
    """Answers until the process ends: a node that drains is alive, and not ready. Its threads are daemons."""

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry, ready: Callable[[], Readiness]) -> None:
        """Prepare to listen on a host and port."""
        self._address, self._registry, self._ready = address, registry, ready

    def start(self) -> int | None:
        """Listen; returns the port, or None where the address is not free: a node works without its metrics, too."""
        host, port = self._address
        try:
            server = _server(host, port, self._answer)
        except OSError as error:
            step = "give each node of a machine its own DARKROOM_NODE_METRICS, or `off`"
            log.warning("node.metrics_not_served", address=f"{host}:{port}", error=str(error), next_step=step)
            return None
        threading.Thread(target=server.serve_forever, name="darkroom-metrics", daemon=True).start()
        found: int = server.server_address[1]
        log.info("node.metrics_served", address=f"{host}:{found}")
        return found

    def _answer(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(self._registry)
        if path == "/healthz":
            return HTTPStatus.OK, _JSON, b'{"status": "alive"}'
        if path == "/readyz":
            found = self._ready()
            status = HTTPStatus.OK if found.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            return status, _JSON, json.dumps({"status": found.reason, "detail": found.detail}).encode()
        return HTTPStatus.NOT_FOUND, _JSON, b'{"status": "not_found"}'


def _server(host: str, port: int, answer: Callable[[str, str], tuple[HTTPStatus, str, bytes]]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_S
        server_version = "darkroom"
        sys_version = ""

        def do_GET(self) -> None:
            status, content_type, body = answer(self.path.partition("?")[0], self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            """Say nothing of each probe."""

    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in host else AF_INET
        daemon_threads = True
        request_queue_size = 32

        def handle_error(self, *_: Any) -> None:
            """Say nothing of a client that went away."""

    return Server((host, port), Handler)
