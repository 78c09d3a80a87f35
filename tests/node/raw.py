"""Messages as a faulty or hostile producer sends them: any bytes, past every client library's checks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import amqp
from redis import Redis

from tests.acceptance import brokers

ENQUEUE = "darkroom.enqueue"
MUG = {"key": "mug", "prompt": "A mug"}


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of either broker; ``raw`` is a whole entry of a Redis list, or the bytes of AMQP properties."""

    body: bytes = b""
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str | None = "application/json"
    content_encoding: str | None = "utf-8"
    properties: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ENQUEUE
    raw: bytes | None = None


def good(token: str) -> Message:
    body = [[], {"batch": {"token": token}, "requests": [MUG]}, {}]
    return Message(body=json.dumps(body).encode(), headers=headers())


def headers(**others: object) -> dict[str, Any]:
    """The headers that a message of the protocol needs, and others."""
    return {"task": ENQUEUE, "id": str(uuid4()), **others}


def put(url: str, messages: Iterable[Message]) -> None:
    """Send the messages in their order over one connection."""
    if brokers.is_redis(url):
        with Redis.from_url(url) as server, server.pipeline(transaction=False) as pipe:
            for each in messages:
                pipe.lpush(each.queue, entry(each))
            pipe.execute()
        return
    address = urlsplit(url)
    with (
        amqp.Connection(
            f"{address.hostname}:{address.port or 5672}",
            userid=address.username,
            password=address.password,
            virtual_host=unquote(address.path[1:]) or "/",
        ) as connection,
        connection.channel() as channel,
    ):
        for each in messages:
            channel.basic_publish(_Amqp(each), exchange="", routing_key=each.queue)


def entry(message: Message) -> bytes:
    """Return what lies in a list of Redis."""
    if message.raw is not None:
        return message.raw
    envelope = {
        "body": message.body.decode("latin-1"),
        "content-type": message.content_type,
        "content-encoding": message.content_encoding,
        "headers": message.headers,
        "properties": {
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": message.queue},
            **message.properties,
        },
    }
    return json.dumps(envelope).encode()


class _Amqp(amqp.Message):  # type: ignore[misc]  # py-amqp has no types
    """A message whose properties may be bytes that no client would send."""

    def __init__(self, message: Message) -> None:
        super().__init__(
            message.body,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            application_headers=dict(message.headers),
            **message.properties,
        )
        self._raw = message.raw

    def _serialize_properties(self) -> bytes:
        return super()._serialize_properties() if self._raw is None else self._raw


def table(value_type: bytes, value: bytes) -> bytes:
    """AMQP properties with one header of this type, beside a content type."""
    entry = pack("B", 4) + b"date" + value_type + value
    return pack(">H", 0x8000 | 0x2000) + pack("B", 16) + b"application/json" + pack(">I", len(entry)) + entry
