"""The fields of an upload, read from its multipart body."""

from dataclasses import dataclass

from aiohttp import BodyPartReader, web

from ops.sandbox.choices import UnknownKeys
from ops.sandbox.settings import Settings
from ops.sandbox.web.errors import refused

HARD_LIMIT_BYTES = 64 * 2**20
"""More than any model takes; what comes after is read and thrown away."""
_FIELD_LIMIT_BYTES = 64 * 1024
_KINDS = ("image", "video", "audio")
_FIELDS = {"file", "kind", "model", "client_request_id"}
_CLIENT_REQUEST_ID_MAX = 128


@dataclass(frozen=True, kw_only=True)
class Form:
    """One upload as it was sent; `data` is cut off at the hard limit when `is_oversize`."""

    data: bytes
    is_oversize: bool
    name: str
    kind: str
    model: str | None


async def form_from(request: web.Request, settings: Settings) -> Form:
    """The form in this request; raises ApiError(`validation_failed`)."""
    if request.content_type != "multipart/form-data":
        raise refused("Content-Type must be multipart/form-data.")
    try:
        parts = await _parts(request)
    except (ValueError, AssertionError):
        raise refused("The multipart body cannot be read.") from None
    unknown = sorted(parts.keys() - _FIELDS)
    if unknown and settings.unknown_keys is UnknownKeys.REJECT:
        raise refused(f"Unknown fields: {', '.join(unknown)}; allowed: {', '.join(sorted(_FIELDS))}.")
    return _form(parts)


@dataclass(frozen=True, kw_only=True)
class _Part:
    data: bytes
    is_cut: bool
    file_name: str | None

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


async def _parts(request: web.Request) -> dict[str, _Part]:
    parts: dict[str, _Part] = {}
    reader = await request.multipart()
    while part := await reader.next():
        if not isinstance(part, BodyPartReader) or not part.name or part.name in parts:
            raise refused("Each field must have a name and be sent once.")
        limit = HARD_LIMIT_BYTES if part.name == "file" else _FIELD_LIMIT_BYTES
        parts[part.name] = await _read(part, limit)
    return parts


async def _read(part: BodyPartReader, limit: int) -> _Part:
    data, is_cut = bytearray(), False
    while chunk := await part.read_chunk(256 * 1024):
        is_cut = is_cut or len(data) + len(chunk) > limit
        if not is_cut:
            data += chunk
    return _Part(data=bytes(data), is_cut=is_cut, file_name=part.filename)


def _form(parts: dict[str, _Part]) -> Form:
    file, kind = parts.get("file"), parts.get("kind")
    if file is None or file.file_name is None:
        raise refused("file is required and must be sent as a file with a name.")
    if kind is None or kind.text not in _KINDS:
        raise refused(f"kind is required and must be one of: {', '.join(_KINDS)}.")
    client_request_id = parts.get("client_request_id")
    if client_request_id and len(client_request_id.text) > _CLIENT_REQUEST_ID_MAX:
        raise refused(f"client_request_id must have at most {_CLIENT_REQUEST_ID_MAX} characters.")
    model = parts.get("model")
    return Form(
        data=file.data,
        is_oversize=file.is_cut,
        name=file.file_name,
        kind=kind.text,
        model=model.text if model else None,
    )
