"""Networks and listening addresses as settings write them."""

import re
from ipaddress import ip_network

_LISTEN = re.compile(r"^([^\s:]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$")
_PORTS = 65_536


def parse_networks(value: object) -> object:
    """Read addresses and networks that are separated by commas; raises ValueError."""
    if not isinstance(value, str):
        return value
    return tuple(ip_network(each.strip(), strict=False) for each in value.split(",") if each.strip())


def parse_listen(value: object) -> object:
    """Read ``HOST:PORT`` as a host and a port, and ``off`` as None; raises ValueError."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "off":
        return None
    found = _LISTEN.match(value.strip())
    if found is None or int(found[2]) >= _PORTS:
        raise ValueError("is not HOST:PORT, such as 127.0.0.1:9464, and not off")
    return found[1].strip("[]"), int(found[2])
