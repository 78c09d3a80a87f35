"""Every command of docs/api.md does what the document says."""

import os
import re
import subprocess
from pathlib import Path

from tests.fixtures import pictures
from tests.web.api.client import client
from tests.web.serving import Web

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_examples_run_one_after_the_other_as_they_stand(web: Web, tmp_path: Path) -> None:
    shop = client(web)
    pictures.reference(tmp_path, "vase.png")
    script = "set -eu\n" + "\n".join(f"{example}\necho" for example in EXAMPLES)
    token = shop.headers["Authorization"].removeprefix("Bearer ")
    environment = {**os.environ, "DARKROOM_API": f"{web.url}/api/v1", "DARKROOM_TOKEN": token}

    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(each["token"] for each in shop.get("/batches").json()["batches"]) == [
        "kitchen-1",
        "spring-2026",
        "vases-1",
    ]
