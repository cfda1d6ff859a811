"""The picture of live play in README and docs, made by a browser on a film that is played.

    python scripts/shoot_live.py [docs] [--film FILM] [--after 9]

writes live.jpg, and live-turned.jpg: the page before its strength goes to 0, and half a second after.
Needs `mmdream[browser,live]` and the system's Chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mmdream.sample.film import make_sample  # noqa: E402
from scripts.shoot_studio import decode_page, keep_picture  # noqa: E402
from tests.browser.conftest import open_browser  # noqa: E402
from tests.browser.test_live_page import ANSWER_SECONDS, SLIDE  # noqa: E402


def main() -> int:
    """Play, look, and end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs")
    parser.add_argument("--film", type=Path)
    parser.add_argument("--after", type=float, default=9.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        film = options.film or Path(folder) / "sample.mp4"
        if options.film is None:
            make_sample(film, 30, 25, (640, 360))
        command = [sys.executable, "-m", "mmdream", "live", str(film), "--no-browser"]
        playing = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert playing.stdout is not None
        browser.set_window_size(1200, 760)
        browser.get(playing.stdout.readline().strip())
        time.sleep(options.after)
        before = decode_page(browser.get_screenshot_as_png())
        keep_picture(before, options.folder / "live.jpg")
        browser.execute_script(SLIDE, "0")
        time.sleep(ANSWER_SECONDS)
        after = decode_page(browser.get_screenshot_as_png())
        keep_picture(np.hstack([before, after]), options.folder / "live-turned.jpg")
        browser.find_element("id", "end").click()
        playing.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
