from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pytest_httpserver import HTTPServer

from worker.provider.client import Client, Timeouts

KEY = "rvya_sk_TOPSECRET0123456789"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

ClientFor = Callable[[str], Client]


@pytest.fixture
def client_for() -> ClientFor:
    def build(base_url: str) -> Client:
        return Client(
            base_url=base_url,
            api_key=KEY,
            now=lambda: NOW,
            timeouts=Timeouts(connect_s=0.4, read_s=0.3, total_s=0.4),
            user_agent="darkroom-tests",
        )

    return build


@pytest.fixture
def client(httpserver: HTTPServer, client_for: ClientFor) -> Client:
    return client_for(httpserver.url_for(""))
