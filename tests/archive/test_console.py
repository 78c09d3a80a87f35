"""What the console does with reports of archived batches."""

import io
import zipfile
from pathlib import Path

from tests.archive.conftest import archive
from tests.pipeline.node import Node
from tests.web.console import catalog
from tests.web.console.money.test_finance import check
from tests.web.console.pages import get, signed_in, text_of


def test_a_report_of_archived_batches_is_printed_and_checked_in_the_console(
    small: Node, database_url: str, tmp_path: Path
) -> None:
    archive(small)

    with catalog.shown(small, database_url, tmp_path / "home") as web:
        finance = signed_in(web, "finance")
        printed = get(finance, web, "/money/report?report=spend&format=csv").content
        answer = check(finance, web, printed)

    with zipfile.ZipFile(io.BytesIO(printed)) as packed:
        assert b"pair" in packed.read(packed.namelist()[0])
    assert "As printed: spend as of" in text_of(answer)
