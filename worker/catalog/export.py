"""What is live, for a shop: each SKU with its file, address, hash and pixels, always in the same order."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from worker.catalog.queries.live import LiveItem
from worker.catalog.queries.rejections import Listed
from worker.catalog.rules.catalog import ExportForm
from worker.core.output_files import csv_line
from worker.storage.store import Store

COLUMNS = ("sku", "file", "url", "sha256", "mime_type", "width", "height", "live_since")
REJECTION_COLUMNS = (
    "sku",
    "image",
    "rejected_at",
    "by",
    "reason",
    "prompt",
    "next_prompt",
    "state",
    "file",
    "url",
    "sha256",
)


def rows(items: Iterable[LiveItem], store: Store) -> Iterator[dict[str, Any]]:
    """Yield each item as it is exported; ``file`` is the name in the store, ``url`` where that is."""
    for each in items:
        yield {
            "sku": each.sku,
            "file": each.path,
            "url": url(store, each.path),
            "sha256": each.sha256,
            "mime_type": each.mime_type,
            "width": each.width,
            "height": each.height,
            "live_since": each.live_since.astimezone(UTC).isoformat(),
        }


def rejections(found: Iterable[Listed], store: Store) -> Iterator[dict[str, Any]]:
    """Yield each rejection as it is exported; ``state`` is what the image is now."""
    for each in found:
        yield {
            "sku": each.sku,
            "image": str(each.render_id),
            "rejected_at": each.at.astimezone(UTC).isoformat(),
            "by": each.by,
            "reason": each.reason,
            "prompt": each.prompt,
            "next_prompt": each.next_prompt,
            "state": each.state,
            "file": each.path,
            "url": url(store, each.path),
            "sha256": each.sha256,
        }


def lines(found: Iterable[dict[str, Any]], form: ExportForm, columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """Return the export piece by piece; the same rows give the same bytes."""
    return _csv(found, columns) if form is ExportForm.CSV else _json(found)


def _csv(found: Iterable[dict[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    yield csv_line(columns, line_end="\n")
    for each in found:
        yield csv_line([each[name] for name in columns], line_end="\n")


def _json(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, each in enumerate(found):
        yield ("," if number else "") + "\n" + json.dumps(each, ensure_ascii=False)
    yield "\n]\n"


def url(store: Store, path: str) -> str:
    """Return the address of a stored file: file:// for a folder, that of the bucket otherwise."""
    location = store.location(path)
    return location if "://" in location else Path(location).as_uri()
