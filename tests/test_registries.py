"""What is entered in one place is entered in the others that CONTRIBUTING names."""

from pathlib import Path

import pytest

from ops.sandbox.models import MODELS as SANDBOX
from worker.audit import reports
from worker.audit.rules.reporting import ReportName
from worker.cli.commands.books import AUDIT
from worker.core.rules.models_catalogue import MODELS

MODELS_PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", sorted(MODELS))
def test_each_model_is_in_the_sandbox_at_the_same_price_and_in_the_page_of_models(model: str) -> None:
    assert SANDBOX[model].credits == MODELS[model].credits
    assert f"| `{model}` | {MODELS[model].credits} |" in MODELS_PAGE


@pytest.mark.parametrize("report", ReportName)
def test_each_report_has_a_builder_and_a_command(report: ReportName) -> None:
    assert report in reports._BUILDERS
    assert report in {command.name for command in AUDIT.commands}
