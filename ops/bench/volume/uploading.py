"""How fast an upload of a million lines becomes a batch over HTTP, and how much memory the web process takes for it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import ROOT, Ground
from ops.bench.volume.enqueueing import LINES, QUICK_LINES, write_manifest

UPLOAD_S = 900


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Upload a manifest to `darkroom web`, a process of its own, twice: the second time the key is a replay."""
    lines = QUICK_LINES if is_quick else LINES
    manifest = place.folder / "manifest.jsonl"
    write_manifest(manifest, lines)
    with ground.sandbox() as provider, node.darkroom(place, provider, name="upload", broker=3) as room:
        environment = {**os.environ, **room.environment}
        headers = {"Authorization": f"Bearer {_token(environment)}"}
        with _web(environment) as (process, url):
            requests.get(f"{url}/api/v1/batches", headers=headers, timeout=30).raise_for_status()
            before_mb = _mb(process, "VmRSS")
            first_s = _upload(url, headers, manifest)
            peak_mb, after_mb = _mb(process, "VmHWM"), _mb(process, "VmRSS")
            again_s = _upload(url, headers, manifest)
            again_mb = _mb(process, "VmHWM")
        assert room.unfinished() == lines
    size_mb = manifest.stat().st_size / 1e6
    manifest.unlink()
    return Finding(
        name="upload",
        title="Upload",
        method=(
            f"One JSONL upload of {lines:,} lines ({size_mb:.0f} MB) to `darkroom web`, from the request to the answer,"
            " and the same key and lines again. RSS of the web process."
        ),
        columns=("lines", "seconds", "lines/s", "RSS before", "peak", "after", "again: seconds", "peak"),
        rows=[
            (
                f"{lines:,}",
                f"{first_s:.1f}",
                f"{lines / first_s:,.0f}",
                f"{before_mb:.0f} MB",
                f"{peak_mb:.0f} MB",
                f"{after_mb:.0f} MB",
                f"{again_s:.1f}",
                f"{again_mb:.0f} MB",
            )
        ],
        figures={
            "lines": lines,
            "seconds": first_s,
            "rss_before_mb": before_mb,
            "rss_peak_mb": peak_mb,
            "rss_after_mb": after_mb,
            "again_s": again_s,
            "again_rss_peak_mb": again_mb,
        },
    )


@contextmanager
def _web(environment: Mapping[str, str]) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the web process and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "worker.cli", "web", "--no-link", "--listen", address]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        ground.wait_until(lambda: _serves(f"http://{address}"), "the web process serves", timeout_s=60)
        yield psutil.Process(process.pid), f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def _upload(url: str, headers: Mapping[str, str], manifest: Path) -> float:
    started = time.perf_counter()
    with manifest.open("rb") as lines:
        answer = requests.post(
            f"{url}/api/v1/batches?name=bench",
            data=lines,
            headers={**headers, "Content-Type": "application/x-ndjson", "Idempotency-Key": "bench"},
            timeout=UPLOAD_S,
        )
    answer.raise_for_status()
    return time.perf_counter() - started


def _mb(process: psutil.Process, name: str) -> float:
    """Return a figure of the kernel about the process' memory."""
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1000
    raise ground.Stuck(f"the kernel does not say {name}")


def _token(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "worker.cli", "token", "create", "bench", "--right", "submit", "--right", "read"]
    done = subprocess.run(  # noqa: S603 - our own
        [*command, "--all-owners", "--json"], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    return str(json.loads(done.stdout)["token"])
