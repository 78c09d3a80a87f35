"""How a program speaks to the HTTP API in tests."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from sqlalchemy import text

from tests.web.serving import Web
from worker.core.db.session import Database


@dataclass(frozen=True, kw_only=True)
class Client:
    """One token at one server."""

    url: str
    headers: Mapping[str, str]

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request; headers come beside the token."""
        headers = {**self.headers, **options.pop("headers", {})}
        return requests.request(
            method, f"{self.url}/api/v1{path}", headers=headers, timeout=options.pop("timeout", 30), **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.send("POST", path, **options)

    def submit(self, prompts: list[str], key: str = "key", **batch: Any) -> requests.Response:
        """Submit a batch of these prompts as one document."""
        document = {"batch": batch, "requests": [{"prompt": prompt} for prompt in prompts]}
        return self.post("/batches", json=document, headers={"Idempotency-Key": key})

    def events(self, path: str, after: int | None = None, timeout: float = 30) -> Iterator[tuple[int, str, Any]]:
        """Yield each event as its id, kind and data, until the server ends the stream."""
        headers = {"Accept": "text/event-stream", **({} if after is None else {"Last-Event-ID": str(after)})}
        with self.get(path, headers=headers, stream=True, timeout=timeout) as answer:
            assert answer.status_code in {200, 204}, answer.text
            yield from parsed(answer)


def parsed(answer: requests.Response) -> Iterator[tuple[int, str, Any]]:
    """Yield each event of an answer, as it comes."""
    found: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if not line:
            if "data" in found:
                yield int(found["id"]), found["event"], json.loads(found["data"])
            found = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


def client(web: Web, name: str = "shop", **bounds: Any) -> Client:
    """Make a token and return its client."""
    return Client(url=web.url, headers=web.token(name, *bounds.pop("rights", ()), **bounds))


def end_jobs(database: Database, batch: str, lines: list[int], *, state: str = "failed") -> None:
    """Let jobs of a batch end, as a node does."""
    with database.transaction() as tx:
        tx.execute(
            text("""
                UPDATE job SET state = :state, failure_code = 'made_up', ended_at = now()
                WHERE batch_id = :batch AND line = ANY(:lines)"""),
            {"state": state, "batch": batch, "lines": lines},
        )


def count(database: Database, table: str) -> int:
    """Count the rows of a table."""
    with database.transaction() as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
