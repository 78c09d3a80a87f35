"""What is live, for a shop: each SKU with its file, address, hash and pixels, always in the same order."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Any

from worker.db.catalog_history import LiveItem
from worker.media.store import Store

COLUMNS = ("sku", "file", "url", "sha256", "mime_type", "width", "height", "live_since")


class ExportForm(StrEnum):
    """How an export is written."""

    CSV = "csv"
    """A header and one row for each SKU."""
    JSON = "json"
    """One list with an object for each SKU."""


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


def lines(found: Iterable[dict[str, Any]], form: ExportForm) -> Iterator[str]:
    """Return the export piece by piece; the same rows give the same bytes."""
    return _csv(found) if form is ExportForm.CSV else _json(found)


def _csv(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield _row(COLUMNS)
    for each in found:
        yield _row([each[name] for name in COLUMNS])


def _row(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _json(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, each in enumerate(found):
        yield ("," if number else "") + "\n" + json.dumps(each, ensure_ascii=False)
    yield "\n]\n"


def url(store: Store, path: str) -> str:
    """Return the address of a stored file: file:// for a folder, that of the bucket otherwise."""
    location = store.location(path)
    return location if "://" in location else Path(location).as_uri()
