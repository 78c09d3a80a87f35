"""The import contracts of pyproject.toml see what they forbid: each is broken on purpose, in a copy of the code."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
OFFENCES = {
    "worker/core/rules/states.py": "from worker.engine import dispatch",
    "worker/engine/rules/polling.py": "import random",
    "worker/batches/control.py": "import ops.sandbox.world",
    "ops/sandbox/world.py": "import worker.core.rules.states",
    "models/job.py": "import celery",
    "worker/ledger/queries/entries.py": "import kombu",
    "worker/hooks/calls.py": "import opentelemetry.trace",
    "worker/storage/fetch/addresses.py": "import sqlalchemy",
}
"""An import that breaks one contract each, in the order of the contracts."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("worker", "models", "ops"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_every_contract_is_broken_by_an_import_that_it_forbids(copy: Path) -> None:
    assert lint(copy)[0] == 0
    for path, line in OFFENCES.items():
        with (copy / path).open("a") as module:
            module.write(f"\n{line}\n")

    code, said = lint(copy)

    assert code == 1
    assert {name: f"{name} BROKEN" in said for name in CONTRACTS} == dict.fromkeys(CONTRACTS, True)


@pytest.mark.parametrize("stray", ["stray.py", "stray/__init__.py"])
def test_a_module_that_belongs_to_no_room_breaks_the_contract_of_the_rooms(copy: Path, stray: str) -> None:
    path = copy / "worker" / stray
    path.parent.mkdir(exist_ok=True)
    path.write_text('"""A module that no layer names."""\n')

    code, said = lint(copy)

    assert code == 1
    assert f"{CONTRACTS[0]} BROKEN" in said
    assert "worker.stray" in said
