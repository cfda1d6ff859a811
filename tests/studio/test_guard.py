"""The studio's rules of security, each by the attack that taught it."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.studio.conftest import TOKEN, Client

CHANGES = [
    ("POST", "/api/films"),
    ("PUT", "/api/films/x/state"),
    ("PUT", "/api/films/x/mask"),
    ("POST", "/api/films/x/dream"),
    ("POST", "/api/films/x/job"),
    ("POST", "/api/jobs/x/stop"),
    ("POST", "/api/jobs/x/partial"),
    ("POST", "/api/films/x/read"),
    ("POST", "/api/gallery/dreamnet/motif"),
]
READS = ["/api/begin", "/api/films/x", "/api/films/x/frame?at=0", "/api/films/x/media", "/api/jobs/x/film",
         "/api/dreams/x/quick.jpg", "/api/gallery/dreamnet/motif/dog", "/api/atoms/rain?n=0",
         "/api/gallery/dreamnet/find?words=dog",
         "/api/jobs/x/record", "/api/jobs/x/frame"]  # fmt: skip


def ask_socket(studio: Client, **headers: str | None) -> str:
    """The first line of the answer to a WebSocket's opening."""
    own = f"127.0.0.1:{studio.port}"
    given = {
        "Host": own, "Origin": f"http://{own}", "Cookie": studio.cookie, "Upgrade": "websocket",
        "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    } | headers  # fmt: skip
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    with socket.create_connection(("127.0.0.1", studio.port), 10) as wire:
        wire.sendall(("GET /api/events HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        return wire.recv(200).split(b"\r\n")[0].decode()


def test_it_listens_on_this_machine_alone(studio: Client) -> None:
    # Ollama, Ray (CVE-2023-48022): open to the network by default.
    with socket.socket() as wire:
        wire.settimeout(2)
        others = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
        for address in {address for address in others if not str(address).startswith("127.")}:
            assert wire.connect_ex((str(address), studio.port)) != 0
    assert "0.0.0.0" not in (Path(__file__).parents[2] / "mmdream" / "studio" / "command.py").read_text()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", "", None]
)
def test_another_host_is_refused_always(studio: Client, host: str | None) -> None:
    # Rebinding (ComfyUI#12860); Gradio#13594: a foreign Host switched the check off.
    for path in ("/", "/static/app.js", "/api/begin"):
        assert studio.ask("GET", path, headers={"Host": host})[0] == 400
    assert " 101 " not in ask_socket(studio, Host=host)


def test_the_token_is_exchanged_once_for_a_cookie_that_scripts_do_not_see(studio: Client) -> None:
    assert studio.ask("GET", f"/?token={TOKEN}", headers={"Cookie": None})[0] == 401
    assert studio.ask("GET", "/?token=wrong", headers={"Cookie": None})[0] == 401
    assert studio.ask("GET", f"/?token={TOKEN}")[0] == 303  # Who holds the cookie comes in again.
    assert studio.ask("GET", "/")[0] == 200
    assert studio.cookie.startswith(f"mmdream-{studio.port}=")


@pytest.mark.parametrize("cookie", [None, "mmdream-1=x", "a=b; c", "\x01=;;"])
def test_reading_needs_the_cookie_too(studio: Client, cookie: str | None) -> None:
    # ComfyUI and others gave pictures and files to whoever asked.
    for path in ["/", *READS]:
        assert studio.ask("GET", path, headers={"Cookie": cookie})[0] == 401
    assert studio.ask("GET", "/static/app.js", headers={"Cookie": cookie})[0] == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1"]
)
def test_a_change_needs_its_own_origin(studio: Client, origin: str | None) -> None:
    # ComfyUI#4850; CVE-2024-10481 was got round by "Origin: null" (ComfyUI#13245), so was CVE-2024-47165.
    for method, path in CHANGES:
        assert studio.ask(method, path, headers={"Origin": origin})[0] == 403
    assert " 101 " not in ask_socket(studio, Origin=origin)


def test_a_change_needs_the_cookie_and_a_header_that_no_form_sends(studio: Client) -> None:
    # CVE-2024-1727: any site could upload; CVE-2024-47084: a cookie skipped the check of the origin.
    for method, path in CHANGES:
        assert studio.ask(method, path, headers={"X-Mmdream": None})[0] == 403
        assert studio.ask(method, path, headers={"Cookie": None})[0] == 401
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert studio.ask("POST", "/api/films", headers={"X-Mmdream": None, "Content-Type": kind})[0] == 403


def test_a_socket_needs_its_origin_and_the_cookie(studio: Client) -> None:
    assert " 101 " in ask_socket(studio)
    assert " 101 " not in ask_socket(studio, Cookie=None)
    assert " 101 " not in ask_socket(studio, Origin=None)


def test_no_other_site_is_let_in(studio: Client) -> None:
    # No CORS, no foreign frame, no content of another type or place, and no address told to others.
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/begin"),
        ("GET", "/static/app.js"),
        ("OPTIONS", "/api/begin"),
    ):
        _, headers, _ = studio.ask(method, path, headers=asked if method == "OPTIONS" else {})
        assert not [name for name in headers if name.startswith("access-control")]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = studio.ask("GET", "/")[2].decode()
    assert "<script>" not in page
    assert "style=" not in page


def test_nothing_changes_by_get(studio: Client) -> None:
    # ComfyUI-Manager#594: a link installed packages.
    before = sorted(path.name for path in studio.folder.iterdir())
    for _, path in CHANGES:
        assert studio.ask("GET", path)[0] in (404, 405, 422)
    assert studio.ask("DELETE", "/api/jobs/x/stop")[0] in (404, 405)  # Ray, CVE-2026-27482.
    assert sorted(path.name for path in studio.folder.iterdir()) == before


@pytest.mark.parametrize(
    "path",
    ["/static/../guard.py", "/static/%2e%2e/guard.py", "/static/..%2fguard.py", "/static/..%5cguard.py",
     "/static//etc/passwd", "/static/%2fetc/passwd", "/static/vendor/../../project.py",
     "/api/films/..%2f..%2fetc%2fpasswd/media", "/api/films/%2e%2e/media", "/api/films/C:%5Cboot.ini/media",
     "/api/films/in.mp4/media", "/api/dreams/..%2f..%2fx/quick.jpg", "/api/dreams/a/..%2fstudio.toml",
     "/api/gallery/..%2f..%2fx/motif/dog", "/api/gallery/dreamnet/motif/..%2f..%2fstudio.toml",
     "/api/atoms/..%2f..?n=0", "/api/atoms/rain?n=1e99", "/api/jobs/..%2f..%2fx/record",
     "/api/jobs/..%2f..%2fx/film", "/api/jobs/x/..%2f..%2fstudio.toml"],
)  # fmt: skip
def test_no_address_leads_out_of_the_folder(studio: Client, path: str) -> None:
    # CVE-2026-56670 to 56673 (ComfyUI#14734), CVE-2026-28414: absolute and device names.
    status, _, body = studio.ask("GET", path)
    assert status in (404, 405, 422)
    assert b"root:" not in body
    assert b"import" not in body


def test_links_out_of_the_folder_are_no_films(studio: Client, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes((studio.folder / "in.mp4").read_bytes())
    link = studio.folder / "link.mp4"
    link.symlink_to(tmp_path / "secret.mp4")
    try:
        assert [film["name"] for film in studio.json("GET", "/api/begin")["films"]] == ["in.mp4"]
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "name",
    ["../out.mp4", "..\\out.mp4", "/tmp/out.mp4", "C:\\out.mp4", "a/../../out.mp4",
     ".out.mp4",
     "<b>out.mp4", "con.mp4", "x" * 5000 + ".mp4", "in.mp4", "in.dream.mp4"],
)  # fmt: skip
def test_uploads_get_a_name_of_ours_in_the_folder(studio: Client, name: str) -> None:
    # NiceGUI CVE-2026-39844: a backslash in the name led out of the folder.
    film = (studio.folder / "in.mp4").read_bytes()
    made = studio.json("POST", "/api/films", film, **{"X-File-Name": quote(name)})
    path = studio.folder / made["name"]
    assert path.is_file()
    assert path.parent == studio.folder
    assert made["name"] != "in.mp4"
    assert not set("/\\\0<>:") & set(made["name"])
    assert not made["name"].startswith(".")
    path.unlink()
    assert {each.name for each in studio.folder.iterdir()} <= {"in.mp4", "studio.toml"}


def test_what_is_no_film_leaves_nothing_behind(studio: Client) -> None:
    for name, body in (
        ("page.html", b"<script>"),
        ("a.svg", b"<svg/>"),
        ("film.mp4", b"no film"),
        ("e.mp4", b""),
    ):
        status, _, said = studio.ask("POST", "/api/films", body, {"X-File-Name": name})
        assert (status, b"error" in said) == (422, True)
    assert {each.name for each in studio.folder.iterdir()} <= {"in.mp4", "studio.toml"}


def test_no_redirect_leads_elsewhere(studio: Client) -> None:
    # Gradio#13593; Jupyter lost its token so (GHSA-44cc-43rp-5947).
    for query in ("?next=http://evil.example", "?url=//evil.example", f"?token={TOKEN}&next=//evil.example"):
        _, headers, _ = studio.ask("GET", f"/{query}")
        assert headers.get("location", "/") == "/"
    assert "location" not in studio.ask("GET", "//evil.example/%2e%2e")[1]


def test_ranges_are_bounded(studio: Client) -> None:
    # Starlette CVE-2025-62727: many ranges took time that grew with their square.
    status, headers, body = studio.ask("GET", f"{studio.film}/media", headers={"Range": "bytes=0-99"})
    assert (status, len(body), headers["content-range"].split("/")[0]) == (206, 100, "bytes 0-99")
    many = "bytes=" + ",".join(f"{k}-{k}" for k in range(5000))
    assert studio.ask("GET", f"{studio.film}/media", headers={"Range": many})[0] in (400, 416, 431)
    for odd in ("bytes=9-1", "bytes=-", "bytes=a-b", "lines=1-2"):
        assert studio.ask("GET", f"{studio.film}/media", headers={"Range": odd})[0] < 500


def test_bodies_are_bounded_and_what_is_no_setting_is_one_line(studio: Client) -> None:
    film = studio.film
    assert studio.ask("PUT", f"{film}/state", b"x" * (17 << 20))[0] == 422
    for given in (
        {"settings": {"output": "/tmp/x"}}, {"settings": {"seed": "x"}}, {"settings": {"strength": "9"}},
        {"keys": [{"setting": "strength", "at": "x", "value": 1}]}, {"settings": {"motif": "nothing"}},
        {"keys": [{"setting": "unknown", "at": 0, "value": 1}]}, {"settings": {"net": "../../x"}},
    ):  # fmt: skip
        status, _, said = studio.ask("PUT", f"{film}/state", given)
        assert status == 422, said
        assert b"Traceback" not in said
    assert studio.ask("PUT", f"{film}/state", b"[1]")[0] == 422
    assert studio.ask("PUT", f"{film}/mask", b"<svg onload=alert(1)>")[0] == 422
    huge = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\x7f\xff\xff\xff" * 2 + b"\0" * 20
    assert studio.ask("PUT", f"{film}/mask", huge)[0] == 422
