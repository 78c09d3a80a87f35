"""The documents are a site without a broken link."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ops.tools import ROOT

PARTS = ("mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of all that the site is made of."""
    for name in PARTS:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "ops").mkdir()
    shutil.copy(ROOT / "ops" / "site.py", tmp_path / "ops")
    return tmp_path


def built(folder: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_every_link_of_the_documents_leads_somewhere(tmp_path: Path) -> None:
    done = built(ROOT, tmp_path / "site")

    assert done.returncode == 0, done.stderr
    assert "An image in two minutes" in (tmp_path / "site" / "index.html").read_text()
    assert (tmp_path / "site" / "runbook" / "index.html").is_file()


@pytest.mark.parametrize("link", ["[x](gone.md)", "[x](metrics.md#gone)", "[x](../gone.txt)"])
def test_a_broken_link_or_anchor_is_an_error(copy: Path, link: str) -> None:
    page = copy / "docs" / "runbook.md"
    page.write_text(f"{page.read_text()}\n{link}\n")

    done = built(copy, copy / "site")

    assert done.returncode != 0
    assert "gone" in done.stderr


def test_every_document_stands_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    documents = {each.name for each in (ROOT / "docs").glob("*.md")}

    assert {name for name in documents if f": {name}\n" not in text} == set()
    assert yaml.safe_load(text)["strict"] is True
