"""Metrics and probes of the web process: for programs with a token, and for this machine."""

from dataclasses import replace

import requests

from tests.web.serving import Web, serving, with_settings
from worker.core.db.session import Database
from worker.core.rules.setting_values import parse_networks
from worker.web.context import WebContext
from worker.web.rules.identity import Right


def get(web: Web, path: str, **headers: str) -> requests.Response:
    return requests.get(
        web.url + path, headers={name.replace("_", "-"): text for name, text in headers.items()}, timeout=10
    )


def test_metrics_are_served_to_this_machine(web: Web) -> None:
    answer = get(web, "/metrics")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'darkroom_jobs{state="pending"} 0.0' in answer.text
    assert "process_resident_memory_bytes" in answer.text


def test_a_request_that_came_through_a_proxy_needs_an_identity(web: Web) -> None:
    assert get(web, "/metrics", X_Forwarded_For="203.0.113.7").status_code == 401
    assert get(web, "/metrics", Forwarded="for=203.0.113.7").status_code == 401


def test_a_trusted_proxy_on_this_machine_is_no_way_around_it(context: WebContext) -> None:
    with serving(with_settings(context, trusted_proxies=parse_networks("127.0.0.1"))) as web:
        assert get(web, "/metrics").status_code == 401


def test_a_page_of_another_name_reads_no_metrics(web: Web) -> None:
    assert get(web, "/metrics", Host="evil.example:8780").status_code == 401


def test_a_token_with_the_right_to_read_reads_metrics(web: Web) -> None:
    reader, submitter = web.token("prometheus", Right.READ), web.token("shop", Right.SUBMIT)

    assert requests.get(web.url + "/metrics", headers=reader, timeout=10).status_code == 200
    assert requests.get(web.url + "/metrics", headers=submitter, timeout=10).status_code == 403
    assert get(web, "/metrics", Authorization="Bearer wrong").status_code == 401


def test_probes_are_answered_under_whatever_host_name(web: Web) -> None:
    assert get(web, "/healthz", Host="10.1.2.3:8780").json() == {"status": "alive"}
    assert get(web, "/readyz", Host="10.1.2.3:8780").json()["status"] == "ready"
    assert get(web, "/", Host="10.1.2.3:8780").status_code == 400


def test_without_its_database_it_is_alive_and_not_ready(context: WebContext) -> None:
    away = Database("postgresql+psycopg://127.0.0.1:1/none")
    with serving(replace(context, database=away)) as web:
        answer = get(web, "/readyz")
        metrics = get(web, "/metrics").text

        assert get(web, "/healthz").status_code == 200
    assert (answer.status_code, answer.json()["status"]) == (503, "database")
    assert "darkroom_database_up 0.0" in metrics
