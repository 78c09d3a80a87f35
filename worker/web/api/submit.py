"""POST /batches: lines in any form with their references, received to the disk, checked, and taken as one batch."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from worker.batches import views
from worker.core.db import changes
from worker.core.rules.batch_request import BatchRequest, validate_batch
from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.text import canonical, label
from worker.engine.queries import batches
from worker.intake import prepare
from worker.intake.manifest import Files, Form, ManifestError, Row, numbered, read
from worker.intake.prepare import Prepared
from worker.intake.reference_store import ReferenceStore
from worker.intake.write import Receipt, RequestsRefused, TokenTaken, tell, write
from worker.storage.fetch.budget import FetchBounds, FetchBudget
from worker.web.api import bodies
from worker.web.api.bodies import Parts, Upload
from worker.web.api.operations import JSON_TYPE, LINES_TYPE, Call
from worker.web.api.schemas import SubmitQuery
from worker.web.problems import Forbidden, Problem

FAULTS_SHOWN = 1_000
"""So many faults are in an answer."""
CSV_TYPE, PARTS_TYPE = "text/csv", "multipart/form-data"
_FORMS = {LINES_TYPE: Form.JSONL, "application/jsonl": Form.JSONL, CSV_TYPE: Form.CSV}
_OWN_FIELDS = ("dry_run", "skip_invalid")
_QUOTED = re.compile(r'"([^"\\]*)"')


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What a client has sent, whatever its form."""

    fields: dict[str, Any]
    rows: Iterable[Row | Fault]
    files: Files = None


async def submit(call: Call, query: SubmitQuery) -> Response:
    """Take a batch; the same key and body again give the same answer, and nothing is added."""
    bodies.expect_plain(call.request)
    token = None if query.dry_run else _token(call)
    with ExitStack() as held:
        held.enter_context(call.api.uploads.taking(call.principal.actor))
        if token is not None:
            held.enter_context(call.api.submitting(token))
        async with _received(call, query) as submitted:
            return await call.in_thread(lambda: _take(call, query, token, submitted), call.api.long)


def _token(call: Call) -> str:
    """Return the key of the submission, which is the token of its batch."""
    given = call.request.headers.get("idempotency-key", "").strip()
    if not given:
        raise Problem(
            400,
            "idempotency_key_missing",
            "send an Idempotency-Key: with the same key a batch is never submitted, and paid, twice",
        )
    # The draft of the header has a quoted string; many clients send the bare key.
    found = _QUOTED.fullmatch(given)
    try:
        return label(found[1] if found else given)
    except UnfitError as unfit:
        raise Problem(400, "idempotency_key_invalid", f"Idempotency-Key {unfit.reason}") from None


@asynccontextmanager
async def _received(call: Call, query: SubmitQuery) -> AsyncIterator[Submitted]:
    kind = bodies.media_type(call.request)
    fields = query.model_dump(exclude_none=True, exclude={*_OWN_FIELDS})
    if kind == JSON_TYPE:
        _expect_no_fields(fields)
        yield await _document(call)
    elif kind in _FORMS or kind == PARTS_TYPE:
        if kind == PARTS_TYPE:
            _expect_no_fields(fields)
        async with received(call) as upload:
            upload.manifest_type = upload.manifest_type or ("" if kind == PARTS_TYPE else kind)
            yield await call.in_thread(lambda: _opened(upload, fields, is_parts=kind == PARTS_TYPE))
    else:
        known = f"{JSON_TYPE}, {LINES_TYPE}, {CSV_TYPE}, {PARTS_TYPE}"
        raise Problem(415, "media_type_not_supported", f"send the batch as one of {known}")


@asynccontextmanager
async def received(call: Call, *, takes_fields: bool = False) -> AsyncIterator[Upload]:
    """Receive the body to the disk; what has come is gone after the block."""
    upload, files = bodies.begin_upload(call.context.store.spool, takes_fields=takes_fields), ExitStack()
    files.callback(upload.manifest.close)
    try:
        await _receive(call, upload, files)
        yield upload
    finally:
        with anyio.CancelScope(shield=True):
            await call.in_thread(files.close)


def _expect_no_fields(fields: dict[str, Any]) -> None:
    if fields:
        names = ", ".join(sorted(fields))
        raise Problem(400, "parameter_not_known", f"{names}: fields of the batch are in the body, not in the query")


async def _document(call: Call) -> Submitted:
    limits = call.api.limits
    value = await bodies.read_json(call.request, limits, most_bytes=limits.json_bytes)
    if not isinstance(value, dict) or not isinstance(value.get("requests"), list):
        raise Problem(422, "request_invalid", "the body is not an object with `batch` and a list of `requests`")
    if unknown := value.keys() - {"batch", "requests"}:
        raise Problem(422, "request_invalid", f"the body has only `batch` and `requests`, not {min(unknown)!r}")
    fields = value.get("batch")
    return Submitted(fields={} if fields is None else _fields(fields), rows=numbered(value["requests"]))


def _fields(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Problem(422, "request_invalid", "`batch` is not an object")
    if "token" in value:
        raise Problem(422, "request_invalid", "the token of the batch is sent as Idempotency-Key, not in `batch`")
    return value


async def _receive(call: Call, upload: Upload, files: ExitStack) -> None:
    limits, spool = call.api.limits, call.context.store.spool
    if bodies.media_type(call.request) == PARTS_TYPE:
        folder: Path = await call.in_thread(lambda: files.enter_context(spool.scratch()))
        parts = Parts(upload, folder, limits, bodies.boundary_of(call.request))
        files.callback(parts.close)
        feed, finish = parts.feed, parts.finish
    else:
        feed, finish = upload.write_line_bytes, upload.end_lines

    def take(piece: bytes) -> None:
        with spool.translated():
            feed(piece)

    async for piece in bodies.chunks(call.request, limits, most_bytes=limits.body_bytes):
        await call.in_thread(lambda piece=piece: take(piece), call.api.long)  # type: ignore[misc]
    finish()


def _opened(upload: Upload, fields: dict[str, Any], *, is_parts: bool) -> Submitted:
    rows = rows_of(upload)
    if is_parts and upload.batch:
        fields = _fields(bodies.json_of(upload.batch, "the part `batch`"))
    return Submitted(fields=fields, rows=rows, files=upload.files if is_parts else None)


def rows_of(upload: Upload) -> Iterable[Row | Fault]:
    """Return the lines of an upload, read as they are asked for; raise Problem when it has none."""
    if not upload.has_manifest:
        raise Problem(422, "part_missing", "there is no part `manifest` with the lines")
    upload.expect_unpacked()
    return read(upload.manifest, form=_FORMS.get(upload.manifest_type))  # type: ignore[arg-type]


def _take(call: Call, query: SubmitQuery, token: str | None, submitted: Submitted) -> Response:
    request = request_of(call, submitted.fields, token)
    prepared = prepare_lines(call, query, request, submitted)
    try:
        if query.dry_run:
            return JSONResponse(_dry_run(prepared))
        if (prepared.faults and not query.skip_invalid) or not prepared.jobs:
            raise _refused(prepared.faults, len(prepared.faults))
        return _answer(request, take(call, query, request, prepared))
    finally:
        prepared.spool.close()


def request_of(call: Call, fields: dict[str, Any], token: str | None) -> BatchRequest:
    """Return the batch within the bounds of the identity; raise Problem."""
    who = call.principal
    if who.owner is not None and fields.get("owner") not in {None, "", who.owner}:
        raise Forbidden(f"{who.actor} submits for the owner {who.owner!r} and no other")
    found = validate_batch({**fields, "owner": who.owner or fields.get("owner"), "token": token} | _producer(call))
    if isinstance(found, tuple):
        raise _refused(found, len(found))
    if who.owner is not None and (found.account, found.pool) != (None, None):
        raise Forbidden(
            f"{who.actor} submits for the owner {who.owner!r}, whose account pays: leave out account and pool"
        )
    if not who.may_ask_for(found.priority):
        raise Forbidden(f"{who.actor} may ask for the priority {who.max_priority} at most, not {found.priority}")
    if who.credit_cap is None:
        return found
    if found.credit_cap is not None and found.credit_cap > who.credit_cap:
        raise Forbidden(f"{who.actor} may commit {who.credit_cap:,} credits with a batch, not {found.credit_cap:,}")
    return replace(found, credit_cap=who.credit_cap if found.credit_cap is None else found.credit_cap)


def _producer(call: Call) -> dict[str, str]:
    """Return the client's span as a field of the batch, where a header names it."""
    named = call.request.headers.get("traceparent")
    return {} if named is None else {"traceparent": named}


def prepare_lines(call: Call, query: SubmitQuery, request: BatchRequest, submitted: Submitted) -> Prepared:
    """Check every line; a dry run puts no reference into the store. Raise Problem when nothing can be read."""
    settings = call.context.settings
    bounds = FetchBounds(
        time=settings.references_timeout, count=settings.references_count, size_bytes=settings.references_bytes
    )
    reference_store = ReferenceStore(None if query.dry_run else call.context.store, budget=FetchBudget(bounds))
    rows = _bounded(submitted.rows, call.api.limits.lines)
    try:
        return prepare.prepare(rows, base=submitted.files, reference_store=reference_store, extra=request.allow_extra)
    except ManifestError as error:
        raise Problem(422, error.error_code, f"the manifest {error.reason}") from None


def _bounded(rows: Iterable[Row | Fault], most: int) -> Iterator[Row | Fault]:
    for count, row in enumerate(rows, start=1):
        if count > most:
            raise Problem(413, "too_many_lines", f"a batch has at most {most:,} lines: submit several")
        yield row


def _refused(faults: Iterable[Fault], count: int) -> Problem:
    shown = [views.fault(each) for each in islice(faults, FAULTS_SHOWN)]
    first = f": {next(iter(faults))}" if count else ""
    return Problem(
        422,
        RequestsRefused.error_code,
        f"nothing was submitted, there are {count:,} faults{first}",
        faults=shown,
        fault_count=count,
    )


def take(call: Call, query: SubmitQuery, request: BatchRequest, prepared: Prepared) -> Receipt:
    """Write the batch, or find the one that was written under this token before; raise Problem."""
    hash_, context = fields_hash(query, request), call.context
    try:
        with call.database.bulk_transaction() as tx:
            receipt = write(
                tx,
                request,
                prepared,
                account_id=context.account_id,
                now=context.clock(),
                new_id=context.new_id,
                by=call.principal.actor,
                approve_above=context.settings.approve_above,
                fields_hash=hash_,
            )
            if receipt.is_new:
                subject = f"batch:{receipt.batch_id}"
                changes.record(tx, call.author(), subject, "state", before=None, after=receipt.state)
            elif not _is_a_replay(tx, call, receipt, hash_):
                raise _token_taken(request)
    except TokenTaken:
        raise _token_taken(request) from None
    except RequestsRefused as refused:
        raise _refused(refused.faults, len(refused.faults)) from None
    tell(receipt)
    return receipt


def _is_a_replay(tx: Connection, call: Call, receipt: Receipt, hash_: str) -> bool:
    """Return whether the batch under the token may be seen, and has the same fields as far as they are kept."""
    row = batches.by_id(tx, receipt.batch_id)
    return row is not None and call.may_see(row) and batches.fields_hash(tx, receipt.batch_id) in {None, hash_}


def _token_taken(request: BatchRequest) -> Problem:
    # Not whose batch it is: it may be another owner's.
    detail = f"the key {request.token!r} was used for a batch with another body: submit this one under another key"
    return Problem(422, TokenTaken.error_code, detail)


def fields_hash(query: SubmitQuery, request: BatchRequest) -> str:
    """Return a hash over the fields, beside the lines, that a replay must repeat."""
    fields = {
        "name": request.name,
        "owner": request.owner,
        "purpose": request.purpose,
        "priority": request.priority,
        "credit_cap": request.credit_cap,
        "deadline": None if request.deadline is None else str(request.deadline),
        "size_policy": request.size_policy,
        "skip_invalid": query.skip_invalid,
    }
    chosen = {"account": request.account, "pool": request.pool}
    fields |= {name: value for name, value in chosen.items() if value is not None}
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def _answer(request: BatchRequest, receipt: Receipt) -> Response:
    content = {
        "batch": str(receipt.batch_id),
        "token": receipt.token,
        "name": request.name,
        "jobs": receipt.jobs,
        "credits": receipt.credits,
        "kept_not_used": list(receipt.kept),
        "faults": [views.fault(each) for each in islice(receipt.faults, FAULTS_SHOWN)],
        "fault_count": len(receipt.faults),
    }
    headers = {"Location": f"/api/v1/batches/{receipt.batch_id}"}
    if not receipt.is_new:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(content, 202, headers=headers)


def _dry_run(prepared: Prepared) -> dict[str, Any]:
    return {
        "lines": prepared.jobs + prepared.faults.lines,
        "bad_lines": prepared.faults.lines,
        "jobs": prepared.jobs,
        "credits": prepared.credits,
        "references": len(prepared.referring),
        "kept_not_used": list(prepared.kept),
        "faults": [views.fault(each) for each in islice(prepared.faults, FAULTS_SHOWN)],
        "fault_count": len(prepared.faults),
    }
