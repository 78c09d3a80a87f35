"""A tag's value in a journal stands for one name alone, and hledger reads it as it was written."""

import os
import shutil
import subprocess
from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest

from worker.audit.rendering.as_hledger import encoded

NAMES = ("a,b", "a b", "a  b", "a;b", " a", "a ", "a\tb", "a\nb", "a%2Cb", "a: b", "é,ü", "a\u2028b", "a\u00a0b", ",")


def test_a_plain_name_stays_readable() -> None:
    assert encoded("Autumn chairs (2nd)") == "Autumn chairs (2nd)"


def test_different_names_are_different_values_and_decoding_gives_the_name() -> None:
    random = Random(12)
    names = {"".join(random.choices("ab ,;%\t\n\u2028C2", k=random.randint(0, 6))) for _ in range(5000)} | set(NAMES)

    values = {encoded(name): name for name in names}

    assert len(values) == len(names)
    assert all(unquote(value) == name for value, name in values.items())


@pytest.mark.skipif(shutil.which("hledger") is None, reason="no hledger here")
def test_hledger_sees_each_name_as_a_value_of_its_own(tmp_path: Path) -> None:
    journal = tmp_path / "names.journal"
    journal.write_text("".join(f"2026-11-01 x\n    ; owner: {encoded(name)}\n    a  1\n    b\n\n" for name in NAMES))

    found = subprocess.run(
        ["hledger", "-f", str(journal), "tags", "--values", "owner"],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert {unquote(value) for value in found.stdout.splitlines()} == set(NAMES)
