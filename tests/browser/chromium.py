"""A headless Chromium driven over its debugging pipe: no driver, no further package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


def executable() -> str | None:
    """The first Chromium on PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page of a browser that lives as long as the `with` block.

    `console` collects messages and exceptions, `requests` the addresses asked for.
    """

    def __init__(self, width: int = 1400, height: int = 900, dark: bool = False) -> None:
        self.size = (width, height)
        self.dark = dark
        self.console: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Page:
        reads, child_writes = os.pipe()
        child_reads, writes = os.pipe()

        def hand_over() -> None:
            # Chromium reads commands from 3 and answers on 4; duplicate high first, as either
            # pipe may already sit on one of those numbers.
            into, out = os.dup(child_reads), os.dup(child_writes)
            high_in, high_out = os.dup2(into, 100), os.dup2(out, 101)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        name = executable()
        if name is None:
            raise FileNotFoundError("no Chromium on PATH")
        flags = ["--no-sandbox", "--disable-gpu", "--headless", "--hide-scrollbars"]
        flags += ["--remote-debugging-pipe", "--disable-background-networking", "--no-first-run"]
        self.process = subprocess.Popen(
            [name, *flags, f"--window-size={self.size[0]},{self.size[1]}", "about:blank"],
            preexec_fn=hand_over,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_reads)
        os.close(child_writes)
        self.reads, self.writes, self.buffer, self.number = reads, writes, b"", 0
        self.session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        width, height = self.size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.writes)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.reads)

    def call(self, method: str, timeout: float = 60, **params: Any) -> dict[str, Any]:
        """Send one command and return its result; events on the way are noted."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            answer = self._read(until)
            if answer and answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
        raise TimeoutError(f"{method} had no answer in {timeout} s")

    def _read(self, until: float) -> dict[str, Any] | None:
        while b"\0" not in self.buffer:
            if not select.select([self.reads], [], [], max(until - time.monotonic(), 0))[0]:
                return None
            more = os.read(self.reads, 1 << 20)
            if not more:
                raise RuntimeError("Chromium ended")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.console.append(f"{params['type']}: {json.dumps(params['args'])[:500]}")
        elif method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, path: Path, fragment: str = "") -> Page:
        """Open a file and wait until its scripts have run."""
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if self.run("document.readyState === 'complete' && Boolean(window.report)"):
                return self
            time.sleep(0.05)
        raise TimeoutError(f"{path} did not finish loading; console: {self.console}")

    def run(self, script: str) -> Any:
        """Value of an expression, promises awaited."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"])[:800])
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key by its name."""
        known = {"Tab": (9, ""), "Enter": (13, "\r")}
        code, text = known[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Save the page as PNG, all of it or what the window shows."""
        extra: dict[str, Any] = {}
        if whole:
            height = self.run("document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": self.size[0], "height": height, "scale": 1}
            extra = {"captureBeyondViewport": True, "clip": clip}
        found = self.call("Page.captureScreenshot", format="png", **extra)
        path.write_bytes(base64.b64decode(found["data"]))
