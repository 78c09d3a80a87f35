"""Database URLs as libpq and SQLAlchemy write them, also with several hosts."""

import re

from sqlalchemy.engine import URL, make_url

_SEVERAL = re.compile(r"^(?P<before>[^:/]+://(?:[^@/]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<after>[/?].*)?$", re.DOTALL)
"""libpq's form for several hosts, each with a port of its own, which SQLAlchemy does not read."""
_HOST = re.compile(r"^(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d*))?$")


def parsed(url: str) -> URL:
    """Return the URL for SQLAlchemy with psycopg.

    Several hosts are tried in their order: ``postgresql://user@one:5432,two:5432/name`` (libpq), or
    ``postgresql://user@/name?host=one:5432&host=two:5432`` (SQLAlchemy). Both become what libpq takes in either place:
    ``?host=one,two&port=5432,5432``.

    Raises:
        ArgumentError: The URL cannot be read.
    """
    several = _SEVERAL.match(url)
    made = make_url(f"{several['before']}{several['after'] or ''}" if several else url)
    named = several["hosts"].split(",") if several else made.query.get("host")
    if isinstance(named, list | tuple):
        found = [(match["host"].strip("[]"), match["port"] or "") for each in named if (match := _HOST.match(each))]
        hosts, ports = (",".join(part) for part in zip(*found, strict=True))
        made = made.update_query_dict({"host": hosts, "port": ports})
    return made.set(drivername="postgresql+psycopg")


def hosts(url: URL) -> str:
    """Return where the server is, for people; empty for the socket of this machine."""
    named = url.query.get("host")
    return url.host or (named if isinstance(named, str) else ", ".join(named or ()))
