"""The picture of the studio in the README, made by a browser on the studio itself.

    python scripts/shoot_studio.py [docs/studio.jpg]

Needs `mmdream[browser]` and the system's Chromium. A minute on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mmdream.sample.film import make_sample  # noqa: E402
from tests.browser.conftest import Page, open_browser  # noqa: E402

WIDTH = 1200


def main() -> None:
    """Open, set, look."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "studio.jpg"
    with tempfile.TemporaryDirectory() as place, open_browser() as browser:
        folder = Path(place) / "films"
        folder.mkdir()
        make_sample(folder / "sample.mp4")
        page = Page(folder, browser)
        try:
            page.button("sample.mp4").click()
            page.wait(lambda: page.status().startswith("full"))
            for seconds, value in ((0.0, "0.2"), (1.5, "1.4"), (4.0, "0.8")):
                page.type(page.named("Time in seconds"), f"{seconds}")
                page.button("Add key").click()
                times = [
                    float(e.get_attribute("value") or 0) for e in page.find("[aria-label^='Second of key']")
                ]
                page.type(page.named(f"Value of key {times.index(seconds) + 1}"), value)
            page.type(page.named("Time in seconds"), "2")
            page.wait(lambda: page.status() == "full, 2.00 s")
            page.button("Hear dream").click()
            page.button("Pause sound")
            page.button("Add to queue").click()
            page.wait(lambda: "running" in str(page.jobs()))
            page.wait(lambda: float(page.named("Progress").get_attribute("value") or 0) > 0.3)
            page.browser.save_screenshot(str(Path(place) / "studio.png"))
            picture = cv2.imread(str(Path(place) / "studio.png"))
            page.button("Stop").click()
            page.wait(lambda: "stopped" in str(page.jobs()))
        finally:
            page.kill()
    size = WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(out), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
