"""A headless Chromium, driven over the DevTools protocol on a pair of pipes: nothing to install beside the browser."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
VIRTUAL_KEYS = {"Escape": 27, "Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--window-size=1280,900",
)
# The mouse meets what was drawn last: a scroll counts from the second frame on.
MIDDLE = """(async (selector) => {
    const element = document.querySelector(selector);
    element.scrollIntoView({block: "center"});
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    const place = element.getBoundingClientRect();
    return [place.x + place.width / 2, place.y + place.height / 2];
})"""
# Chromium reads its commands from file descriptor 3 and answers on 4. The two are moved out of the way first, for
# either may be one of those numbers already.
LAUNCH = """
import fcntl, os, sys
given, taken = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 20) for number in sys.argv[1:3])
os.dup2(given, 3)
os.dup2(taken, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def found() -> str | None:
    """Return the path of a Chromium, if there is one on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(kw_only=True)
class Browser:
    """A running browser that shows one page at a time."""

    process: "subprocess.Popen[bytes]"
    commands: int
    answers: int
    downloads: Path = Path()
    session: str = ""
    _number: int = 0
    _rest: bytes = b""
    _events: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def page(self, downloads: Path) -> Iterator["Browser"]:
        """Yield this browser with a new page, whose downloads come to the folder; the page is closed afterwards."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.downloads = downloads
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads), eventsEnabled=True)
        try:
            yield self
        finally:
            self.call("Target.closeTarget", targetId=target)
            self._events.clear()

    def open(self, url: str) -> None:
        """Load a page, and wait until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        self.event("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what an expression gives in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press and release each key, as a keyboard does."""
        for key in keys:
            detail: dict[str, Any] = {"text": key} if len(key) == 1 else {"windowsVirtualKeyCode": VIRTUAL_KEYS[key]}
            if key == "Enter":
                detail["text"] = "\r"  # What presses a button.
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **detail)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def write(self, text: str) -> None:
        """Put text where the cursor is."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click on the middle of the first element that the selector names, as a mouse does."""
        place = self.value(MIDDLE + f"({json.dumps(selector)})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", buttons=1, clickCount=1
            )

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a field for them, as a person does in the dialog that it opens."""
        found = self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.call("DOM.setFileInputFiles", files=[str(each) for each in files], objectId=found["result"]["objectId"])

    def offline(self, *, is_on: bool) -> None:
        """Cut the page off from every server, or join it again."""
        self.call("Network.enable")
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=is_on, **speed)

    def downloaded(self) -> Path:
        """Wait for the download that was begun, and return its file."""
        begun = self.event("Browser.downloadWillBegin")
        while self.event("Browser.downloadProgress")["state"] != "completed":
            pass
        return self.downloads / str(begun["suggestedFilename"])

    def screenshot(self, to: Path) -> None:
        """Write what is seen as a PNG."""
        to.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """Return what the page has logged as errors so far, such as a breach of its own policy."""
        logged = [event["params"]["entry"] for event in self._events if event["method"] == "Log.entryAdded"]
        thrown = [event["params"] for event in self._events if event["method"] == "Runtime.exceptionThrown"]
        said = [f"{entry['text']} {entry.get('url', '')}" for entry in logged]
        return said + [str(each["exceptionDetails"]) for each in thrown]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        if self.session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self._events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def event(self, method: str) -> dict[str, Any]:
        """Return the first event of the kind that was not asked for yet; wait for it if there is none."""
        for at, event in enumerate(self._events):
            if event.get("method") == method:
                return dict(self._events.pop(at)["params"])
        while (message := self._read()).get("method") != method:
            self._events.append(message)
        return dict(message["params"])

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser said nothing for {TIMEOUT_S:.0f} s"
            chunk = os.read(self.answers, 1 << 16)
            assert chunk, "the browser has ended"
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def running(path: str, folder: Path) -> Iterator[Browser]:
    """Yield a browser whose profile is in the folder; it ends with the block."""
    given_to, commands = os.pipe()
    answers, taken_from = os.pipe()
    # Chromium's own sandbox cannot be used by the superuser.
    options = [*OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={folder / 'profile'}"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(given_to), str(taken_from), path, *options, "about:blank"],
        pass_fds=(given_to, taken_from),
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(given_to)
    os.close(taken_from)
    try:
        yield Browser(process=process, commands=commands, answers=answers)
    finally:
        # Told to close, it ends its own processes first; with both pipes gone it does so as well.
        with suppress(OSError):
            os.write(commands, b'{"id": 0, "method": "Browser.close"}\0')
        os.close(commands)
        _end(process)
        os.close(answers)


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=TIMEOUT_S)
