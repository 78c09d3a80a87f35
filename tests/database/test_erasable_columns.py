"""Every column of text, JSON or bytes is known to have a prompt, and then it is erased, or to have none."""

import re
from pathlib import Path

from sqlalchemy import Engine, text

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"


def listed(block: str) -> set[str]:
    """Return what the guide lists in a block, as ``table.column``, or ``table.*`` for all of them."""
    found = re.search(rf"```{block}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    lines = (line.partition(":") for line in found[1].splitlines())
    return {f"{table}.{column.strip()}" for table, _, columns in lines for column in columns.split(",")}


def test_the_guide_says_of_every_column_whether_it_may_have_a_prompt(owner: Engine) -> None:
    erased, kept = listed("erased"), listed("kept")
    with owner.connect() as tx:
        found = tx.execute(
            text("""
                SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                JOIN pg_type t ON t.oid = a.atttypid
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
                AND NOT a.attisdropped AND t.typname IN ('text', 'varchar', 'json', 'jsonb', 'bytea', '_text')""")
        ).all()

    columns = {f"{table}.{column}" for table, column in found}
    unknown = {each for each in columns - erased - kept if f"{each.partition('.')[0]}.*" not in kept}
    assert unknown == set()
    assert (erased & kept, erased - columns) == (set(), set())
    assert {each for each in kept if not each.endswith(".*")} <= columns
