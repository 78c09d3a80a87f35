"""The statement of credits has a line for each catalog."""

from tests.catalog.shop import NAME, Shop
from tests.reports.test_agreement import rows
from worker.audit.reports.report import ReportQuery
from worker.audit.reports.statement import statement
from worker.audit.rules.reporting import By, ReportName


def test_what_a_catalog_spent_is_told_from_all_else(shop: Shop) -> None:
    shop.bring_in({"sku": "chair", "colour": "red"}, {"sku": "table", "colour": "blue"})
    shop.refresh()
    shop.node.submit({"prompt": "something else"})
    shop.node.run_until_quiet()

    asked = ReportQuery(report=ReportName.STATEMENT, as_of=shop.node.clock(), by=By.CATALOG)
    with shop.node.services.database.transaction() as tx:
        found = rows(statement(tx, asked), "statement")

    assert [(line["catalog"], line["closing_spent"]) for line in found] == [(NAME, 8), ("no catalog", 4)]
