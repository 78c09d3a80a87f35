"""A sandbox in a process of its own, and the few calls that its tests make."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 20


@dataclass(kw_only=True)
class Sandbox:
    """One running sandbox; calls carry its key."""

    process: subprocess.Popen[str]
    url: str
    key: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, *, key: str | None = "", **options: Any) -> requests.Response:
        secret = self.key if key == "" else key
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        headers |= options.pop("headers", {})
        return self.session.request(method, self.url + path, headers=headers, timeout=TIMEOUT_S, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def create(self, body: object = None, *, idempotency_key: str | None = None, **options: Any) -> requests.Response:
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        json = {"model": "qwen-image", "prompt": "A chair"} if body is None else body
        return self.call("POST", "/api/v1/generations", json=json, headers=headers, **options)

    def task(self, task_id: str, **options: Any) -> Any:
        return self.get(f"/api/v1/generations/{task_id}", **options).json()

    def upload(self, data: bytes, name: str = "a.png", **fields: str) -> requests.Response:
        form = {"kind": "image", "model": "qwen-image"} | fields
        return self.call("POST", "/api/v1/files", files={"file": (name, data)}, data=form)

    def set(self, **settings: object) -> None:
        self.call("PATCH", "/sandbox/settings", json=settings).raise_for_status()

    def script(self, *lines: dict[str, object]) -> None:
        self.call("POST", "/sandbox/script", json=list(lines)).raise_for_status()

    def post(self, path: str, body: object) -> Any:
        response = self.call("POST", path, json=body)
        response.raise_for_status()
        return response.json()

    def books(self, query: str = "") -> Any:
        return self.get(f"/sandbox/books{query}").json()

    def credits(self) -> int:
        return int(self.get("/api/v1/credits").json()["current_credits"])

    def stop(self) -> int:
        self.session.close()
        self.process.terminate()
        return self._end()

    def kill(self) -> None:
        self.session.close()
        self.process.kill()
        self._end()

    def _end(self) -> int:
        code = self.process.wait(TIMEOUT_S)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def start(*options: str | Path) -> Sandbox:
    """A sandbox that is listening."""
    arguments: Sequence[str | Path] = [sys.executable, "-m", "ops.sandbox", *options]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(2)]
    values = dict(line.split("=", 1) for line in lines)
    return Sandbox(process=process, url=values["RIVYA_BASE_URL"], key=values["RIVYA_API_KEY"])
