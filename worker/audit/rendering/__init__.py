"""How a report becomes bytes: the same report gives the same bytes on every machine and on every day."""

from collections.abc import Callable, Mapping

from worker.audit.rendering.as_hledger import as_hledger
from worker.audit.rendering.as_table import as_table
from worker.audit.rendering.as_xlsx import as_xlsx
from worker.audit.rendering.exact import Unfit, as_csv, as_json
from worker.audit.reports import Report
from worker.audit.rules.reporting import Format

__all__ = ["Unfit", "render"]


_RENDERERS: Mapping[Format, Callable[[Report], bytes]] = {
    Format.TABLE: as_table,
    Format.CSV: as_csv,
    Format.JSON: as_json,
    Format.XLSX: as_xlsx,
    Format.HLEDGER: as_hledger,
}


def render(report: Report, as_format: Format) -> bytes:
    """Return the report's bytes; raise Unfit when it cannot be printed like that."""
    return _RENDERERS[as_format](report)
