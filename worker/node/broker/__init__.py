"""The broker's border: whatever bytes arrive, a node reads them without harm and takes them off."""

from kombu import transport

_TRANSPORTS = {
    "amqp": "worker.node.broker.amqp_transport:Transport",
    "pyamqp": "worker.node.broker.amqp_transport:Transport",
    "amqps": "worker.node.broker.amqp_transport:SSLTransport",
    "redis": "worker.node.broker.redis_transport:Transport",
    "rediss": "worker.node.broker.redis_transport:Transport",
    "sentinel": "worker.node.broker.redis_transport:SentinelTransport",
}


def install() -> None:
    """Let every connection of this process use the transports that survive any message.

    By the names in a broker's URL, and not as Celery's ``broker_transport``: kombu goes by the URL when it turns on
    TLS, and when it fails over to another server.
    """
    transport.TRANSPORT_ALIASES.update(_TRANSPORTS)
    for name in _TRANSPORTS:
        transport._transport_cache.pop(name, None)  # noqa: SLF001 - kombu has no other way to take a name anew
