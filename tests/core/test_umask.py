"""What a user's files are made with: the umask decides, for reports, sheets and images as for anything else."""

import subprocess
import sys
from pathlib import Path

import pytest

WRITER = """
import sys
from pathlib import Path
from worker.cli.streams import write_whole
from worker.cli.audit.files import _write_whole
from worker.contact_sheet.template import _part
from worker.storage.folder import Folder
place = Path(sys.argv[1])
write_whole(place / "faults.csv", lambda file: file.write("x"))
_write_whole(place / "report.csv", b"x")
_part(place / "sheet.html", ["x"]).rename(place / "sheet.html")
with Folder(place).opened() as store:
    store.create("image.png", b"x", "image/png")
"""


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664)])
def test_a_written_file_has_the_mode_that_the_umask_leaves(umask: int, mode: int, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], umask=umask, check=True)

    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "faults.csv": mode,
        "image.png": mode,
        "report.csv": mode,
        "sheet.html": mode,
    }
