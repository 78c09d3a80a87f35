"""kombu's AMQP transport, which no header of a message can make fail.

py-amqp 5.4 decodes a message's properties while it reads frames: an unknown type in a table, an instant beyond the
calendar or a name that is not UTF-8 breaks the connection, the message goes back to the queue, and breaks the next one.
"""

from collections.abc import Callable, Mapping
from struct import unpack_from
from typing import Any, ClassVar

import amqp
import structlog
from amqp import spec
from amqp.method_framing import frame_handler
from amqp.serialization import dumps, loads
from kombu.transport import pyamqp

from worker.intake.rules import delivery, envelope

log = structlog.get_logger(__name__)

_METHOD, _HEADER = 1, 2
"""Types of frames (AMQP 0-9-1, 4.2.3)."""

_PROPERTIES_AT = 12
"""Where the properties begin in a header frame, behind class, weight and size of the body."""


def guarded_frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[Any], bool]:
    """Read frames as py-amqp does; properties that it cannot read are replaced by one that says so."""
    on_frame = frame_handler(connection, callback)

    def on_any_frame(frame: Any) -> bool:
        frame_type, channel, buf = frame
        if frame_type == _METHOD and unpack_from(">HH", buf, 0) == spec.Basic.Deliver:
            return bool(on_frame((frame_type, channel, _deliver(buf))))
        if frame_type != _HEADER:
            return bool(on_frame(frame))
        try:
            return bool(on_frame(frame))
        except Exception:
            # Reading properties may raise about anything: FrameSyntaxError, struct.error, ValueError, OverflowError.
            if _is_readable(buf):
                raise
        return bool(on_frame((frame_type, channel, _without_properties(buf))))

    return on_any_frame


def _is_readable(buf: Any) -> bool:
    """Whether the properties are not what failed; a message without a body is handled in the same call."""
    try:
        amqp.Message()._load_properties(60, buf, _PROPERTIES_AT)  # noqa: SLF001 - what inbound_header calls
    except Exception:  # noqa: BLE001 - see above
        return False
    return True


def _without_properties(buf: Any) -> bytes:
    """Replace the properties, and keep the size of the body, which follows in frames of its own."""
    raw = bytes(buf[_PROPERTIES_AT:])
    headers = envelope.unreadable(raw, "the message's properties cannot be read as AMQP 0-9-1")[envelope.UNREADABLE]
    message = amqp.Message(application_headers={envelope.UNREADABLE: headers})
    return bytes(buf[:_PROPERTIES_AT]) + message._serialize_properties()  # noqa: SLF001 - the inverse of the above


def _deliver(buf: Any) -> Any:
    """Leave out an exchange and a routing key that are not UTF-8; the consumer's tag is our own."""
    try:
        loads("sLbss", buf, 4)
    except UnicodeDecodeError:
        (tag, number, is_again), _ = loads("sLb", buf, 4)
        return bytes(buf[:4]) + dumps("sLbss", (tag, number, is_again, "", ""))
    return buf


class Message(pyamqp.Message):  # type: ignore[misc]  # kombu has no types
    """A message of which only the headers are kept that Darkroom reads."""

    def __init__(self, msg: Any, channel: Any = None, **kwargs: Any) -> None:
        """Take the headers out before kombu acts on them."""
        msg.properties["application_headers"] = envelope.kept_headers(msg.properties.get("application_headers") or {})
        super().__init__(msg, channel=channel, **kwargs)


class Channel(pyamqp.Channel):  # type: ignore[misc]
    """A channel whose messages are guarded."""

    Message: ClassVar[Any] = Message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Leave bodies as they are: decoding 1 MB by a codec that a producer names can take minutes (punycode)."""
        super().__init__(*args, **{**kwargs, "auto_decode": False})

    def queue_declare(self, *args: Any, **options: Any) -> Any:
        """Declare a queue. If a Darkroom queue already exists with other arguments, use the existing one."""
        return super().queue_declare(*args, **self._permitted("queue", options))

    def exchange_declare(self, *args: Any, **options: Any) -> Any:
        """Declare an exchange. If a Darkroom exchange already exists with other arguments, use the existing one."""
        return super().exchange_declare(*args, **self._permitted("exchange", options))

    def _permitted(self, kind: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options, passive where a Darkroom object exists with others; kombu passes them by name."""
        if not delivery.is_own(str(options.get(kind))) or options.get("passive"):
            return options
        return {**options, "passive": self._is_declared_otherwise(kind, options)}

    def _is_declared_otherwise(self, kind: str, options: Mapping[str, Any]) -> bool:
        """Declare it on a separate channel: the server closes a channel on which a declaration fails."""
        trial = self.connection.channel()
        try:
            getattr(super(Channel, trial), f"{kind}_declare")(**options)
        except amqp.PreconditionFailed as error:
            log.warning(
                "broker.declared_otherwise",
                kind=kind,
                name=options[kind],
                reason=str(error.reply_text),
                next_step=f"delete the {kind} while no message waits; the nodes declare it anew",
            )
            return True
        finally:
            if trial.is_open:
                trial.close()
        return False


class Connection(pyamqp.Connection):  # type: ignore[misc]
    """A connection whose frames are guarded."""

    Channel: ClassVar[Any] = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Connect as kombu does."""
        super().__init__(*args, frame_handler=guarded_frame_handler, **kwargs)


class Transport(pyamqp.Transport):  # type: ignore[misc]
    """AMQP 0-9-1."""

    Connection: ClassVar[Any] = Connection


class SSLTransport(pyamqp.SSLTransport):  # type: ignore[misc]
    """AMQP 0-9-1 over TLS."""

    Connection: ClassVar[Any] = Connection
