"""Write the digests of the database's functions into worker/core/db/guards.py, after a migration that changes one.

``python -m ops.guards`` migrates an empty database on an embedded server of its own and reads them there.
"""

import re
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from worker.core.db import guards
from worker.local import services

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "worker" / "core" / "db" / "guards.py"
_LISTED = re.compile(r"(?<=SHA256 = \{\n).*?(?=\}\n)", re.DOTALL)


def made() -> dict[str, str]:
    """Return the digest of each function that the migrations make."""
    home = Path(tempfile.mkdtemp(prefix="darkroom-guards-"))
    home.chmod(0o755)
    try:
        url = services.start(home, fsync=False).database_url
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("script_location", str(ROOT / "migrations"))
        config.attributes["url"] = url
        command.upgrade(config, "head")
        engine = create_engine(url)
        with engine.connect() as tx:
            found: dict[str, str] = {each.name: each.sha256 for each in tx.execute(text(guards.FOUND))}
        engine.dispose()
        return found
    finally:
        services.erase(home)


def listed(found: dict[str, str]) -> str:
    """Return the lines of the list: known functions keep their places, new ones come last."""
    known = [name for name in guards.SHA256 if name in found]
    new = sorted(found.keys() - guards.SHA256.keys())
    return "".join(f'    "{name}": "{found[name]}",\n' for name in (*known, *new))


if __name__ == "__main__":
    FILE.write_text(_LISTED.sub(listed(made()), FILE.read_text(encoding="utf-8"), count=1), encoding="utf-8")
