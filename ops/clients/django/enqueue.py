"""Enqueue a batch for Darkroom inside a transaction of Django's.

    DARKROOM_DATABASE_URL=postgres://... python enqueue.py TOKEN PROMPT...

With ROLLBACK=1 the transaction is rolled back at its end, and leaves nothing.
"""

import json
import os
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.db import connection, transaction


def configure(url: str) -> None:
    """Do what the settings of a project do."""
    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
    settings.configure(DATABASES={"default": database})


def enqueue(token: str, prompts: list[str]) -> None:
    """Call darkroom_enqueue in the transaction that the caller has begun."""
    requests = [{"key": f"image-{place}", "prompt": prompt} for place, prompt in enumerate(prompts, start=1)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT darkroom_enqueue(%s::jsonb, %s::jsonb)",
            [json.dumps({"token": token, "owner": "shop"}), json.dumps(requests)],
        )


if __name__ == "__main__":
    configure(os.environ["DARKROOM_DATABASE_URL"])
    with transaction.atomic():
        # Here the program changes rows of its own.
        enqueue(sys.argv[1], sys.argv[2:])
        if os.environ.get("ROLLBACK") == "1":
            transaction.set_rollback(True)
