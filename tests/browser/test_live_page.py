"""Live play in a real browser: seen, turned, and answered at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from mmdream.sample.film import make_sample
from tests.browser.conftest import ROOT, open_browser

SHOWN = """
const canvas = document.getElementById("picture"), small = document.createElement("canvas");
[small.width, small.height] = [32, 18];
const context = small.getContext("2d");
context.drawImage(canvas, 0, 0, 32, 18);
return [...context.getImageData(0, 0, 32, 18).data];
"""
SLIDE = """
const slide = document.getElementById("slide-strength");
slide.value = arguments[0];
slide.dispatchEvent(new Event("input"));
"""
ANSWER_SECONDS = 0.5


def wait(browser: Chrome, script: str, seconds: float = 120) -> Any:
    """What a script gives when it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := browser.execute_script(script):
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {script}: {browser.page_source[-800:]}")


@pytest.fixture(scope="module")
def browser() -> Any:
    with open_browser() as driver:
        yield driver


def test_a_dream_is_seen_and_answers_a_slider(browser: Chrome, tmp_path: Path) -> None:
    make_sample(tmp_path / "in.mp4", 20, 12, (320, 180))
    words = [sys.executable, "-m", "mmdream", "live", "in.mp4", "--no-browser", "-o", "out.mp4", "--take"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        browser.get(address)
        wait(browser, "return Number(document.getElementById('picture').dataset.frames || 0) > 12")
        assert "frames a second" in browser.find_element("id", "state").text
        assert browser.find_element("id", "message").text == ""
        before = browser.execute_script(SHOWN)
        browser.execute_script(SLIDE, "0")
        time.sleep(ANSWER_SECONDS)
        after = browser.execute_script(SHOWN)
        changed = sum(abs(a - b) for a, b in zip(before, after, strict=True)) / len(before)
        assert changed > 4
        # The keys: hide the sliders, tap a tempo.
        browser.find_element("tag name", "body").send_keys("h")
        assert not browser.find_element("id", "panel").is_displayed()
        browser.find_element("tag name", "body").send_keys("h")
        for _ in range(3):
            browser.find_element("tag name", "body").send_keys("t")
            time.sleep(0.4)
        wait(browser, "return document.getElementById('state').textContent.includes('beats a minute')", 5)
        browser.find_element("id", "sound").click()
        wait(browser, "return document.getElementById('sound').textContent === 'Sound on'", 5)
        browser.find_element("id", "end").click()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "ended from the page" in out
        assert (tmp_path / "out.mp4").is_file()
        assert "strength" in (tmp_path / "out.take.toml").read_text()
        assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []
    finally:
        process.kill()
