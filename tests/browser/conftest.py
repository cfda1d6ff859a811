"""A studio as a process of its own, and a browser on it that is driven by roles and names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from mmdream.sample.film import make_sample

ROOT = Path(__file__).parents[2]
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--window-size=1500,1300", "--autoplay-policy=no-user-gesture-required"),
)
T = TypeVar("T")


class Page:
    """The studio in a browser."""

    def __init__(self, folder: Path, browser: Chrome) -> None:
        self.folder, self.browser = folder, browser
        self.start()

    def start(self) -> None:
        """Begin the studio, and open its address."""
        words = [sys.executable, "-m", "mmdream", "studio", "--no-browser", str(self.folder)]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(self.folder.parent / "cache"),
        }
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.browser.get(self.address)

    def kill(self) -> None:
        """End the server as a power cut does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def find(self, css: str) -> list[WebElement]:
        """Elements that are there now."""
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def button(self, name: str) -> WebElement:
        """A button by its name, once it is there."""
        path = f"//button[normalize-space(.)='{name}' or @aria-label='{name}']"
        return self.wait(lambda: self.browser.find_element(By.XPATH, path))

    def option(self, name: str) -> WebElement:
        """An option of a listbox."""
        return self.browser.find_element(By.XPATH, f"//*[@role='option'][.='{name}']")

    def named(self, name: str, tag: str = "*") -> WebElement:
        """An element by its accessible name, once it is there."""
        return self.wait(lambda: self.browser.find_element(By.CSS_SELECTOR, f"{tag}[aria-label='{name}']"))

    def type(self, element: WebElement, text: str) -> None:
        """Put a text in place of a field's own."""
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text, Keys.ENTER)

    def drop(self, path: Path, target: WebElement) -> None:
        """Drop a file from the desktop onto an element."""
        box = target.rect
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "data": data, **place})

    def fetch(self, link: WebElement) -> int:
        """Bytes that a link leads to, asked for as the page does; an error's status, negative."""
        script = (
            "const done = arguments[1]; fetch(arguments[0]).then(async (answer) =>"
            " done(answer.ok ? (await answer.blob()).size : -answer.status))"
        )
        return int(self.browser.execute_async_script(script, link.get_attribute("href")))

    def status(self) -> str:
        """The state of the dream at the cursor."""
        return self.named("Dream state").text

    def command(self) -> str:
        """The command that makes the open film."""
        return str(self.browser.find_element(By.ID, "command").get_attribute("value"))

    def jobs(self) -> list[str]:
        """Name and state of each job."""
        items = self.browser.find_elements(By.CSS_SELECTOR, "ul[aria-labelledby='jobs-title'] > li")
        return [str(item.get_attribute("aria-label")) for item in items]

    def messages(self) -> str:
        """What is said."""
        return self.named("Messages").text

    def wait(self, condition: Callable[[], T], seconds: float = 300) -> T:
        """What a condition gives when it holds."""
        late, error = time.monotonic() + seconds, None
        while time.monotonic() < late:
            try:
                if found := condition():
                    return found
            except WebDriverException as failed:
                error = failed
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s in vain: {error or self.browser.page_source[-1500:]}")


@contextmanager
def open_browser() -> Iterator[Chrome]:
    """Chromium, headless."""
    options: Any = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """One for all tests."""
    with open_browser() as driver:
        yield driver


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which looks for what is in a screen reader's way."""
    folder = tmp_path_factory.mktemp("axe")
    if shutil.which("npm") is None:
        pytest.skip("axe-core comes by npm, which is not here")
    words = ["npm", "pack", "--silent", "axe-core@4.14.1"]
    name = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    with tarfile.open(folder / name) as tar:
        file = tar.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


@pytest.fixture
def page(browser: Chrome, tmp_path: Path) -> Iterator[Page]:
    """A studio on a folder with a film of three seconds, and its page; another film lies beside it."""
    folder = tmp_path / "films"
    folder.mkdir()
    make_sample(folder / "in.mp4", 3.0, 24, (320, 180))
    shutil.copyfile(folder / "in.mp4", tmp_path / "other.mp4")
    page = Page(folder, browser)
    yield page
    page.kill()
