"""Alerts and panels use metrics that are there, and each alert fires when it should."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from pydantic import SecretStr

from tests.acceptance import world as worlds
from tests.acceptance.nodes import free_address
from tests.acceptance.waiting import until
from tests.fixtures import databases, provider
from tests.ops.tools import OPS, ROOT, run
from tests.web.serving import serving
from worker.settings import Settings
from worker.web import server

RULES = OPS / "prometheus" / "darkroom.rules.yml"
DASHBOARD = OPS / "grafana" / "dashboards" / "darkroom.json"
NAME = re.compile(r"\b(?:darkroom|process)_\w+")
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in alerts()] + [t["expr"] for panel in panels() for t in panel["targets"]]


@pytest.fixture(scope="module")
def scraped(
    broker_urls: dict[str, str], postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[set[str]]:
    """Yield the names of all samples of a web process and of a node that has rendered an image."""
    folder, address = tmp_path_factory.mktemp("scraped"), free_address()
    with (
        provider.running() as sandbox,
        databases.clone(postgres, template) as database_url,
        worlds.opened(database_url, broker_urls["embedded"], folder, sandbox) as world,
    ):
        world.node(DARKROOM_NODE_METRICS=address)
        world.submit([{"prompt": "A chair"}])
        world.wait_until_done()
        until(lambda: world.count("account", "wallet_left IS NOT NULL") == 1, "the wallet is read")
        settings = Settings.model_validate({}).model_copy(
            update={"database_url": SecretStr(database_url), "home": folder, "store": str(world.images)}
        )
        context = server.context(settings)
        with serving(context) as web:
            until(lambda: "darkroom_detection_seconds_count 1" in _text(address), "the node has counted it")
            yield _names(_text(address)) | _names(requests.get(f"{web.url}/metrics", timeout=10).text)
        context.database.close()


def _text(address: str) -> str:
    return requests.get(f"http://{address}/metrics", timeout=10).text


def _names(text: str) -> set[str]:
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_every_metric_of_alerts_and_panels_is_in_a_real_scrape(scraped: set[str]) -> None:
    named = {name for expression in expressions() for name in NAME.findall(expression)}

    assert len(named) > 25
    assert named - scraped == set()


def test_every_metric_of_a_real_scrape_is_documented(scraped: set[str]) -> None:
    ours = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in scraped if name.startswith("darkroom_")}

    assert {name for name in ours if f"`{name}`" not in METRICS and f"`{name}_total`" not in METRICS} - NO_HELP == set()


NO_HELP = {"darkroom_requests"}
"""What remains of ``darkroom_requests_created``; the counter itself is documented as ``_total``."""


def test_the_rules_are_valid() -> None:
    assert f"{len(alerts())} rules found" in run("promtool", "check", "rules", RULES)


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", RULES.with_name("darkroom.test.yml"))


def test_each_alert_is_shown_to_fire_and_to_stay_silent() -> None:
    tests = yaml.safe_load(RULES.with_name("darkroom.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]

    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fired == silent == {rule["alert"] for rule in alerts()}


def test_only_five_alerts_page() -> None:
    assert sum(rule["labels"]["severity"] == "page" for rule in alerts()) == 5


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_alert_has_its_section_in_the_runbook(rule: dict[str, Any]) -> None:
    assert f"## {rule['alert']}\n" in RUNBOOK
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_each_panels_expression_is_promql(tmp_path: Path) -> None:
    texts = [t["expr"].replace('"$account"', '".*"') for panel in panels() for t in panel["targets"]]
    recorded = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(texts)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    assert f"{len(texts)} rules found" in run("promtool", "check", "rules", file)


def test_the_panels_of_the_dashboard_have_ids_of_their_own_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in panels()]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]

    assert len({panel["id"] for panel in panels()}) == len(panels())
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("name", ["prometheus.yml", "machines.yml"])
def test_the_scrape_configuration_is_valid(tmp_path: Path, name: str) -> None:
    config = (OPS / "prometheus" / name).read_text()
    token = tmp_path / "token"
    token.write_text("dkr_x")
    file = tmp_path / "prometheus.yml"
    file.write_text(config.replace("/etc/prometheus/darkroom-token", str(token)))
    (tmp_path / "darkroom.rules.yml").write_text(RULES.read_text())

    assert "SUCCESS" in run("promtool", "check", "config", file)
