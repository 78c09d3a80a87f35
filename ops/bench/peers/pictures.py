"""The job that every contender does: create a generation, poll it, bring its image home, a row for each image.

Only who carries the work from step to step differs between the contenders. The provider's client, the checks of the
image and the store are Darkroom's own, so that they cost the same everywhere.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, create_engine, text
from uuid_utils.compat import uuid7

from worker.provider.client import Client
from worker.provider.wire import GenerationStatus, build_body
from worker.storage.fetch.addresses import AddressPolicy
from worker.storage.fetch.download import FetchLimits, fetch
from worker.storage.images import MAX_RESULT_BYTES, inspect_result
from worker.storage.names import EXTENSIONS
from worker.storage.store import Store, open_store

THREADS = 16
POLL_AGAIN_S = 2.5
"""What each contender waits before it asks again; no generation of the benchmark needs it."""
_TABLE = """
    CREATE TABLE picture (
        id uuid PRIMARY KEY, prompt text NOT NULL, state text NOT NULL DEFAULT 'pending',
        provider_id text UNIQUE, reserved integer, final integer, url text,
        path text, sha256 text, size_bytes integer, mime_type text, width integer, height integer,
        submitted_at timestamptz, answered_at timestamptz, ended_at timestamptz)"""


class Failed(Exception):
    """A generation ended without an image."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """One process's parts: its database, the provider, the store."""

    engine: Engine
    client: Client
    store: Store
    addresses: AddressPolicy

    def create(self, picture_id: str) -> str:
        """Have the generation made and its price recorded; gives the provider's id."""
        with self.engine.begin() as tx:
            prompt = tx.execute(text("SELECT prompt FROM picture WHERE id = :id"), {"id": picture_id}).scalar_one()
        params = {"image_size": "square", "output_format": "png"}
        body = build_body(model="qwen-image", prompt=prompt, params=params, client_request_id=picture_id)
        view = self.client.create(body=body, idempotency_key=picture_id)
        self._record(
            "UPDATE picture SET state = 'submitted', provider_id = :provider_id, reserved = :reserved,"
            " submitted_at = :now WHERE id = :id",
            id=picture_id,
            provider_id=view.id,
            reserved=view.reserved_credits,
        )
        return view.id

    def poll(self, picture_id: str, provider_id: str) -> str | None:
        """Return the image's address and record the final price; None while the generation goes on."""
        view = self.client.get(provider_id)
        if not view.status.is_terminal:
            return None
        is_good = view.status is GenerationStatus.SUCCEEDED
        self._record(
            "UPDATE picture SET state = :state, final = :final, url = :url, answered_at = :now WHERE id = :id",
            id=picture_id,
            state="answered" if is_good else "failed",
            final=view.final_credits,
            url=view.result_urls[0] if is_good else None,
        )
        if not is_good:
            raise Failed(provider_id, view.error_code)
        return view.result_urls[0]

    def collect(self, picture_id: str, url: str) -> None:
        """Have the image in the store, checked, and its facts recorded."""
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            file = Path(folder) / "image"
            fetch(url, file, limits=FetchLimits(max_bytes=MAX_RESULT_BYTES), allow=self.addresses)
            facts = inspect_result(file)
            path = f"pictures/{picture_id}.{EXTENSIONS[facts.mime_type]}"
            self.store.put_new(path, file, content_type=facts.mime_type)
        self._record(
            "UPDATE picture SET state = 'succeeded', path = :path, sha256 = :sha256, size_bytes = :size_bytes,"
            " mime_type = :mime_type, width = :width, height = :height, ended_at = :now WHERE id = :id",
            id=picture_id,
            path=path,
            sha256=facts.sha256,
            size_bytes=facts.size_bytes,
            mime_type=facts.mime_type,
            width=facts.width,
            height=facts.height,
        )

    def _record(self, statement: str, **values: object) -> None:
        with self.engine.begin() as tx:
            tx.execute(text(statement), {"now": datetime.now(UTC), **values})


def from_environment(environment: Mapping[str, str] = os.environ) -> Pictures:
    """Put the parts together from the variables that the benchmark sets."""
    base_url = environment["RIVYA_BASE_URL"]
    return Pictures(
        engine=engine(environment["BENCH_DATABASE_URL"]),
        client=Client(base_url=base_url, api_key=environment["RIVYA_API_KEY"], now=lambda: datetime.now(UTC)),
        store=open_store(environment["BENCH_STORE"]),
        addresses=AddressPolicy.for_results(base_url),
    )


def engine(url: str) -> Engine:
    """Open the pool, as large as Darkroom's own."""
    return create_engine(url, pool_size=THREADS + 4, max_overflow=5)


def make_table(url: str) -> None:
    """Have an empty table."""
    made = engine(url)
    with made.begin() as tx:
        tx.execute(text(_TABLE))
    made.dispose()


def insert(pictures: Engine, count: int) -> list[str]:
    """Write so many pending rows; gives their ids."""
    ids: list[UUID] = [uuid7() for _ in range(count)]
    rows = [{"id": one, "prompt": f"A chair, number {number}"} for number, one in enumerate(ids)]
    with pictures.begin() as tx:
        tx.execute(text("INSERT INTO picture (id, prompt) VALUES (:id, :prompt)"), rows)
    return [str(one) for one in ids]
