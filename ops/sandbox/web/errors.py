"""The provider's refusals, as they go over the wire."""

import json
import secrets
from collections.abc import Mapping

from aiohttp import web


class ApiError(Exception):
    """A request that is answered with the documented error envelope."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.request_id = f"req_{secrets.token_hex(12)}"

    def response(self) -> web.Response:
        """The answer; a remembered refusal gives the same requestId each time."""
        error = {"code": self.code, "message": self.message, "requestId": self.request_id}
        return answer({"error": error}, status=self.status, headers=self.headers)


def refused(message: str, *, status: int = 400) -> ApiError:
    """A `validation_failed` with its message."""
    return ApiError(status, "validation_failed", message)


def not_found(what: str) -> ApiError:
    """A `not_found`; the same for what is missing and for what belongs to another account."""
    return ApiError(404, "not_found", f"{what} was not found.")


def answer(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response."""
    body = json.dumps(data).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
