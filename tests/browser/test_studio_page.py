"""The whole way in the browser, from an empty page to a film, and what may go wrong on it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from mmdream.jobs.store import job_folder
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from tests.browser.conftest import Page


def open_film(page: Page, name: str = "in.mp4") -> None:
    page.button(name).click()
    page.wait(lambda: page.status().startswith("full"))


def seek(page: Page, seconds: float) -> None:
    page.type(page.named("Time in seconds"), f"{seconds}")


def cursor(page: Page) -> float:
    return float(page.named("Time in seconds").get_attribute("value") or 0)


def set_number(page: Page, title: str, value: str) -> None:
    spin = page.wait(lambda: next(e for e in page.find("input[type=number]") if e.accessible_name == title))
    page.type(spin, value)


def add_key(page: Page, seconds: float, value: str) -> None:
    seek(page, seconds)
    before = len(page.find("[aria-label^='Second of key']"))
    page.button("Add key").click()
    page.wait(lambda: len(page.find("[aria-label^='Second of key']")) == before + 1)
    times = [float(each.get_attribute("value") or 0) for each in page.find("[aria-label^='Second of key']")]
    page.type(page.named(f"Value of key {times.index(seconds) + 1}"), value)


def test_from_a_film_to_its_dream_with_a_kill_on_the_way(page: Page) -> None:
    page.wait(lambda: page.find("main .welcome"))
    page.drop(page.folder.parent / "other.mp4", page.find("main")[0])
    page.wait(lambda: page.status().startswith("full"))
    seek(page, 1.5)
    page.wait(lambda: page.status() in ("quick, 1.50 s", "full, 1.50 s"))
    set_number(page, "Octaves", "2")
    set_number(page, "Steps", "3")
    for name in ("dog", "tower"):
        page.option(name).click()
    page.wait(lambda: "--motif dog,tower" in page.command())
    page.wait(lambda: page.status() == "full, 1.50 s")
    page.button("Hear dream").click()
    page.button("Pause sound")
    for seconds, value in ((0.0, "0"), (1.0, "1.5"), (2.5, "0.5")):
        add_key(page, seconds, value)
    Select(page.find(".timeline select")[0]).select_by_visible_text("Motif")
    for seconds, value in ((0.5, "dog"), (2.0, "tower")):
        add_key(page, seconds, value)
    page.wait(lambda: len(page.find(".bands > div")) == 2)
    page.button("Paint mask").click()
    canvas = page.wait(lambda: page.find("canvas.mask")[0])
    path = ActionChains(page.browser).move_to_element_with_offset(canvas, -60, -20).click_and_hold()
    path.move_by_offset(100, 20).move_by_offset(-40, 30).release().perform()
    page.button("Keep mask").click()
    page.wait(lambda: "--mask other.mp4.mask.png" in page.command() and "--schedule" in page.command())
    command = page.command()
    page.button("Add to queue").click()
    page.wait(lambda: page.jobs() == ["other.dream.mp4 running"])
    page.button("Add to queue").click()
    page.wait(lambda: len(page.jobs()) == 2)
    page.wait(lambda: job_folder(page.folder / "other.dream.mp4").is_dir())
    page.find("ul[aria-labelledby='jobs-title'] > li button")[0].click()  # Stop.
    page.wait(lambda: page.jobs()[0] == "other.dream.mp4 stopped")
    page.kill()
    page.wait(lambda: "does not answer" in page.messages())
    page.start()
    page.wait(lambda: page.command() == command)
    page.button("Resume").click()
    page.wait(lambda: page.jobs() == ["other.dream.mp4 done", "other.2.dream.mp4 done"], 900)
    links = {link.text: link for link in page.find("ul[aria-labelledby='jobs-title'] > li:first-child a")}
    assert list(links) == ["Download", "Compare", "Contact sheet"]
    assert page.fetch(links["Download"]) == (page.folder / "other.dream.mp4").stat().st_size
    assert min(page.fetch(links["Compare"]), page.fetch(links["Contact sheet"])) > 10_000
    page.button("Play").click()
    page.wait(lambda: len(page.find("video")) == 2 and cursor(page) > 0.2)
    times = page.browser.execute_script(
        "return [...document.querySelectorAll('video')].map((v) => v.currentTime)"
    )
    assert abs(times[0] - times[1]) < 0.12
    page.button("Pause").click()
    again = page.folder.parent / "again"
    again.mkdir()
    for name in ("other.mp4", "other.mp4.schedule.toml", "other.mp4.mask.png"):
        shutil.copyfile(page.folder / name, again / name)
    subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=again, check=True, capture_output=True)
    both = (read_frames(probe(folder / "other.dream.mp4")) for folder in (page.folder, again))
    for mine, other in zip(*both, strict=True):
        np.testing.assert_array_equal(mine.rgb, other.rgb)


def test_settings_go_there_and_back(page: Page) -> None:
    open_film(page)
    set_number(page, "Strength", "0.4")
    page.wait(lambda: "--strength 0.4" in page.command())
    page.button("Undo").click()
    page.wait(lambda: "--strength" not in page.command())
    page.button("Redo").click()
    page.wait(lambda: "--strength 0.4" in page.command())
    page.button("Reset Strength").click()
    page.wait(lambda: "--strength" not in page.command())
    set_number(page, "Seed", "7")
    page.wait(lambda: "--seed 7" in page.command())
    page.browser.refresh()
    page.wait(lambda: "--seed 7" in page.command())
    page.button("Reset all settings").click()
    page.wait(lambda: "--seed" not in page.command())
    slider = page.named("Time", "input")
    seek(page, 1.0)
    slider.send_keys(Keys.ARROW_RIGHT)
    page.wait(
        lambda: abs(float(page.named("Time in seconds").get_attribute("value") or 0) - 1 - 1 / 24) < 2e-3
    )
    slider.send_keys(Keys.PAGE_UP)
    page.wait(lambda: float(page.named("Time in seconds").get_attribute("value") or 0) > 1.9)


def test_all_is_reached_and_done_without_a_pointer(page: Page) -> None:
    page.wait(lambda: page.find(".films button"))
    tab(page, "in.mp4").send_keys(Keys.ENTER)
    page.wait(lambda: page.status().startswith("full"))
    type_over(page, "Time in seconds", "1.5")
    page.wait(lambda: page.status() in ("quick, 1.50 s", "full, 1.50 s"))
    # Tab leads to the first motif, arrows to the others.
    tab(page, "arch").send_keys(Keys.ARROW_RIGHT, Keys.SPACE)
    page.wait(lambda: "--motif balls" in page.command())
    tab(page, "Strength", "spinbutton").send_keys(Keys.CONTROL, "a")
    page.browser.switch_to.active_element.send_keys("0.8", Keys.ENTER)
    page.wait(lambda: "--strength 0.8" in page.command())
    for name in ("Add key", "Undo", "Redo"):
        before = len(page.find("table[aria-label='Keys'] tbody tr"))
        tab(page, name).send_keys(Keys.ENTER)
        page.wait(lambda before=before: len(page.find("table[aria-label='Keys'] tbody tr")) != before)
    tab(page, "Paint mask").send_keys(Keys.ENTER)
    painter = tab(page, "Mask: paint with the pointer, or with arrows and space")
    painter.send_keys(Keys.ARROW_LEFT, Keys.SPACE, Keys.ARROW_UP, Keys.SPACE)
    tab(page, "Keep mask").send_keys(Keys.ENTER)
    page.wait(lambda: "--mask in.mp4.mask.png" in page.command())
    assert (cv2.imread(str(page.folder / "in.mp4.mask.png"), cv2.IMREAD_GRAYSCALE) > 0).mean() > 0.01
    tab(page, "Hear dream").send_keys(Keys.ENTER)
    page.button("Pause sound")
    tab(page, "Add to queue").send_keys(Keys.ENTER)
    page.wait(lambda: page.jobs() == ["in.dream.mp4 running"])
    tab(page, "Stop").send_keys(Keys.ENTER)
    page.wait(lambda: page.jobs() == ["in.dream.mp4 stopped"])
    tab(page, "Resume").send_keys(Keys.ENTER)
    page.wait(lambda: page.jobs() == ["in.dream.mp4 done"])
    assert tab(page, "Download").tag_name == "a"
    tab(page, "Play").send_keys(Keys.ENTER)
    page.wait(lambda: cursor(page) > 1.7)


def tab(page: Page, name: str, role: str = "") -> WebElement:
    """Press Tab until the focus is on what has a name, and a role if one is given."""
    for _ in range(250):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        here = page.browser.switch_to.active_element
        if here.accessible_name == name and role in ("", here.aria_role):
            return here
    raise AssertionError(f"Tab does not lead to {name}")


def type_over(page: Page, name: str, text: str) -> None:
    tab(page, name).send_keys(Keys.CONTROL, "a")
    page.browser.switch_to.active_element.send_keys(text, Keys.ENTER)


def test_what_goes_wrong_is_said_in_one_line(page: Page) -> None:
    (page.folder.parent / "no film.mp4").write_text("no film")
    page.named("Add films", "input").send_keys(str(page.folder.parent / "no film.mp4"))
    page.wait(lambda: "cannot be read as a film" in page.messages())
    (page.folder / "gone.mp4").write_bytes((page.folder / "in.mp4").read_bytes())
    page.browser.refresh()
    page.button("gone.mp4")
    (page.folder / "gone.mp4").unlink()
    page.button("gone.mp4").click()
    page.wait(lambda: "not in the folder any more" in page.messages())
    open_film(page)
    page.button("Add to queue").click()
    page.wait(lambda: page.jobs() == ["in.dream.mp4 running"])
    page.wait(lambda: (job_folder(page.folder / "in.dream.mp4") / "job.json").is_file())
    kill_jobs(page.folder)
    page.wait(lambda: page.jobs() == ["in.dream.mp4 stopped"])
    page.wait(lambda: "Resume goes on" in page.find("ul[aria-labelledby='jobs-title']")[0].text)


def test_nothing_stands_in_a_screen_readers_way(page: Page, axe: str) -> None:
    open_film(page)
    page.button("Add key").click()
    page.button("Hear dream").click()
    page.button("Add to queue").click()
    page.wait(lambda: page.jobs() == ["in.dream.mp4 done"])
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        page.browser.execute_script(axe)
        found = page.browser.execute_async_script("axe.run().then(arguments[0])")["violations"]
        assert [each["help"] for each in found if each["impact"] in ("serious", "critical")] == []


def test_two_pages_show_the_same_and_reloads_lose_nothing(page: Page) -> None:
    open_film(page)
    set_number(page, "Seed", "11")
    page.wait(lambda: "--seed 11" in page.command())
    page.button("Add to queue").click()
    page.wait(lambda: len(page.jobs()) == 1)
    first = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    page.browser.get(page.address.split("?")[0])
    page.wait(lambda: "--seed 11" in page.command())
    page.wait(lambda: page.jobs() == ["in.dream.mp4 done"])
    for _ in range(10):
        page.browser.refresh()
        page.wait(lambda: "--seed 11" in page.command())
    assert page.jobs() == ["in.dream.mp4 done"]
    page.browser.close()
    page.browser.switch_to.window(first)
    page.wait(lambda: page.jobs() == ["in.dream.mp4 done"])
    assert page.messages() == ""


def kill_jobs(folder: Path) -> None:
    """End every film's process in a folder, as somebody else may."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words, here = (place / "cmdline").read_bytes(), os.readlink(place / "cwd")
        except OSError:
            continue
        if b"mmdream" in words and b"video" in words and Path(here) == folder:
            os.kill(int(place.name), signal.SIGKILL)
