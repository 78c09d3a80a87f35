"""Contracting: a migration that takes away what older code uses, and the nodes that still run that code.

The release before such a migration stops using what it drops, so that both can run while nodes are replaced.
"""

from alembic.script import ScriptDirectory

from migrations import scripts
from worker.core.db import schema

# A node that was not seen for this long does not run (worker.node.queries.nodes.ALIVE_FOR).
_REFUSE = """
DO $contract$
DECLARE
    old text;
BEGIN
    SELECT string_agg(name || ' (' || version || ')', ', ' ORDER BY name) INTO old FROM node
    WHERE seen_at > clock_timestamp() - interval '30 seconds' AND @OLDER;
    IF old IS NOT NULL THEN
        RAISE EXCEPTION 'nodes of an older version are alive: %', old
            USING ERRCODE = 'object_in_use', HINT = 'upgrade or stop them, then migrate again';
    END IF;
END $contract$;"""


def require(oldest: str) -> None:
    """Refuse to go on while a node is alive whose code does not know the migration ``oldest``."""
    known = ScriptDirectory.from_config(schema.config()).iterate_revisions(oldest, "base")
    earlier = [each.revision for each in known if each.revision != oldest]
    scripts.run(_REFUSE.replace("@OLDER", f"(knows IS NULL OR knows = ANY('{{{','.join(earlier)}}}'))"))


def require_none() -> None:
    """Refuse to go on while any node is alive: those that work before migration 0061 do not say what they know."""
    scripts.run(_REFUSE.replace("@OLDER", "true"))
