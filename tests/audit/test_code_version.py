"""The hash of the code that stands in a report's evidence."""

import subprocess
import sys
from pathlib import Path

from worker.audit import evidence

SHOW_IMPORTS = """
import sys
import worker.audit.reports, worker.audit.rendering, worker.audit.verify
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("worker.")))
"""


def test_the_hash_covers_every_module_that_reports_are_made_by() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW_IMPORTS], capture_output=True, text=True, check=True).stdout

    imported = {Path(path).resolve() for path in shown.split()}
    packages = {path for path in imported if path.name == "__init__.py"}
    assert len(imported - packages) > 20
    assert imported - packages <= set(evidence.sources())
