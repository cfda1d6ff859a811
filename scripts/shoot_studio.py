"""The pictures of the studio in README and docs, made by a browser on the studio itself.

    python scripts/shoot_studio.py [docs]

writes studio.jpg, the whole page, and parts of it: studio-gallery.jpg, studio-mask.jpg, studio-sound.jpg,
studio-timeline.jpg and studio-jobs.jpg. Needs `mmdream[browser]` and the system's Chromium. Three minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mmdream.sample.film import make_sample  # noqa: E402
from tests.browser.conftest import Page, open_browser  # noqa: E402

WIDTH, QUALITY = 1200, 82
KEYS = (
    ("Strength", ((0.0, "0.2"), (1.5, "0.9"), (4.0, "0.6"))),
    ("Motif", ((0.5, "dog"), (3.0, "butterfly"))),
)


def decode_page(png: bytes) -> np.ndarray:
    """A picture of the page or a part of it, uint8 [h, w, 3], BGR."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def keep_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, uint8 [h, w, 3], BGR, at most `WIDTH` px wide."""
    if picture.shape[1] > WIDTH:
        size = WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def steer(page: Page, shoot: Callable[[str, str], None]) -> None:
    """Go through the stations of a dream, and look at each."""
    page.button("sample.mp4").click()
    page.wait(lambda: page.status().startswith("full"))
    page.wait(lambda: len(page.find(".gallery img")) > 60)
    for name in ("dog", "butterfly"):
        page.option(name).click()
    shoot("gallery", ".gallery")
    for title, keys in KEYS:
        Select(page.find(".timeline select")[0]).select_by_visible_text(title)
        for seconds, value in keys:
            page.type(page.named("Time in seconds"), f"{seconds}")
            count = len(page.find("[aria-label^='Second of key']"))
            page.button("Add key").click()
            page.wait(lambda count=count: len(page.find("[aria-label^='Second of key']")) > count)
            rows = page.find("table[aria-label='Keys'] tbody tr")
            row = next(r for r in rows if r.text.startswith(title) and _second(r) == seconds)
            page.type(row.find_element(By.CSS_SELECTOR, "input[type=text]"), value)
    Select(page.find(".timeline select")[0]).select_by_visible_text("Strength")
    drive = page.find("#setting-drive")[0]
    drive.send_keys("strength=onset:0.7-1.4", Keys.TAB)
    page.button("Add pass").click()
    page.type(page.named("Time in seconds"), "2")
    page.wait(lambda: page.status() == "full, 2.00 s")
    page.wait(lambda: page.find(".driven"))
    page.button("Hear dream").click()
    page.button("Pause sound")
    shoot("sound", ".sound")
    page.button("Add to queue").click()
    page.wait(lambda: page.jobs() == ["sample.dream.mp4 running"] and page.find(".newest"))
    page.browser.execute_script("scrollTo(0, 0)")
    page.wait(lambda: float(page.named("Progress").get_attribute("value") or 0) > 0.3)
    shoot("", "")
    shoot("timeline", ".timeline")
    shoot("jobs", ".jobs")
    page.button("Stop").click()
    page.button("Paint mask").click()
    canvas = page.wait(lambda: page.find("canvas.mask")[0])
    path = ActionChains(page.browser).move_to_element_with_offset(canvas, -80, -30).click_and_hold()
    path.move_by_offset(120, 20).move_by_offset(-60, 40).release().perform()
    shoot("mask", ".stage")
    page.wait(lambda: "stopped" in str(page.jobs()))


def _second(row: WebElement) -> float:
    return float(row.find_element(By.CSS_SELECTOR, "input[type=number]").get_attribute("value") or -1)


def main() -> None:
    """Open, set, look."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    with tempfile.TemporaryDirectory() as place, open_browser() as browser:
        folder = Path(place) / "films"
        folder.mkdir()
        make_sample(folder / "sample.mp4")
        page = Page(folder, browser)

        def shoot(name: str, css: str) -> None:
            png = page.find(css)[0].screenshot_as_png if css else browser.get_screenshot_as_png()
            keep_picture(decode_page(png), out / f"studio{'-' * bool(name)}{name}.jpg")

        try:
            steer(page, shoot)
        finally:
            page.kill()


if __name__ == "__main__":
    main()
