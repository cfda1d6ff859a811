"""The studio's addresses: each takes a request apart, asks the studio, and gives its answer."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmdream import __version__
from mmdream.core.errors import UserError
from mmdream.studio import form, gallery
from mmdream.studio.film_folder import MAX_UPLOAD_BYTES
from mmdream.studio.frames import MAX_HEIGHT
from mmdream.studio.network_choice import list_choices
from mmdream.studio.studio import Studio
from mmdream.web.guard import Guard
from mmdream.web.requests import read_body, read_json, refuse, wait_for_end

STATIC_FOLDER = Path(__file__).parent / "static"
MAX_BODY_BYTES = 16 << 20
"""Of all but films."""
MAX_RANGES, MAX_NAMES = 1, 1000
WATCH_SECONDS = 1.0


class Listeners:
    """The open pages' sockets; told from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[dict[str, Any]]] = set()

    def tell(self, message: dict[str, Any]) -> None:
        """Hand a message to every page."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: dict[str, Any]) -> None:
        for queue in self._queues:
            queue.put_nowait(message)

    async def serve(self, socket: WebSocket, first: dict[str, Any]) -> None:
        """Tell one page until it goes."""
        self._loop = asyncio.get_running_loop()
        await socket.accept()
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._queues.add(queue)
        gone = asyncio.create_task(wait_for_end(socket))
        try:
            await socket.send_json(first)
            while not gone.done():
                waiting = asyncio.create_task(queue.get())
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    await socket.send_json(waiting.result())
                else:
                    waiting.cancel()
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._queues.discard(queue)
            gone.cancel()


def make_app(folder: Path, port: int, token: str) -> Guard:
    """The application of a folder's studio, guarded; `UserError`: its project cannot be read."""
    listeners = Listeners()
    studio = Studio(folder, listeners.tell)

    def answer(work: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            request.state.body = await read_body(request, MAX_BODY_BYTES)
            found = await run_in_threadpool(work, request)
            return found if isinstance(found, Response) else JSONResponse(found)

        return respond

    def begin(request: Request) -> Any:
        fields = [asdict(each) for each in form.list_fields()]
        return {
            "version": __version__, "folder": studio.folder.name, "fields": fields,
            "films": studio.films.list(), "networks": list_choices(), "atoms": gallery.list_atoms(),
            "jobs": studio.list_jobs(), "open": studio.last_film,
        }  # fmt: skip

    def frame(request: Request) -> Response:
        at, height = _number(request, "at"), int(_number(request, "height", 360))
        data, seconds = studio.films.read_frame(_film(request), at, min(max(height, 16), MAX_HEIGHT))
        return Response(data, media_type="image/jpeg", headers={"X-Seconds": f"{seconds:.6f}"})

    def thumbnail(request: Request) -> Response:
        data = studio.films.read_thumbnail(_film(request), _number(request, "at"))
        return Response(data, media_type="image/jpeg")

    def save(request: Request) -> Any:
        return studio.save_state(_film(request), _json(request))

    def read(request: Request) -> Any:
        return studio.read_settings(str(_json(request).get("text", "")))

    def curves(request: Request) -> Any:
        first, last, count = (
            _number(request, "from", 0),
            _number(request, "to"),
            int(_number(request, "count", 200)),
        )
        count = min(max(count, 2), 2000)
        seconds = [first + (last - first) * k / (count - 1) for k in range(count)]
        return studio.sample_curves(_film(request), seconds)

    def dream(request: Request) -> Any:
        given = _json(request)
        at = given.get("at")
        if not isinstance(at, (int, float)) or not 0 <= at < 1e6:
            raise UserError("the cursor is a number of seconds")
        return studio.dream(_film(request), str(given.get("kind")), float(at))

    def fill_gallery(request: Request) -> Any:
        given, place = _json(request), request.path_params
        names = given.get("names")
        if not isinstance(names, list) or len(names) > MAX_NAMES:
            raise UserError(f"a gallery is asked for at most {MAX_NAMES} names at once")
        return studio.fill_gallery(place["net"], place["kind"], [str(name) for name in names])

    def find_names(request: Request) -> Any:
        return gallery.find_names(request.path_params["net"], request.query_params.get("words", ""))

    def entry(request: Request) -> Response:
        place = request.path_params
        path = gallery.find_entry(place["net"], place["kind"], place["name"])
        if not path.is_file():
            raise UserError(f"{place['name']} was not dreamed yet")
        return _file(request, path)

    def atom(request: Request) -> Response:
        return _file(request, gallery.find_atom(request.path_params["kind"], int(_number(request, "n"))))

    def change_job(request: Request) -> Any:
        studio.change_job(request.path_params["job"], request.path_params["action"])
        return studio.list_jobs()

    def add_job(request: Request) -> Any:
        studio.add_job(_film(request))
        return studio.list_jobs()

    def job_file(request: Request) -> Response:
        kind = request.path_params["kind"]
        path = studio.job_file(request.path_params["job"], kind)
        return _file(request, path, path.name if kind == "film" else None)

    def partial(request: Request) -> Any:
        return studio.write_partial(request.path_params["job"])

    def job_record(request: Request) -> Response:
        return PlainTextResponse(studio.read_job_record(request.path_params["job"]))

    async def upload(request: Request) -> Response:
        path = await run_in_threadpool(
            studio.films.name_upload, unquote(request.headers.get("x-file-name", ""))
        )
        await _receive_file(request, path)
        return JSONResponse(await run_in_threadpool(studio.films.accept_upload, path))

    async def events(socket: WebSocket) -> None:
        jobs = await run_in_threadpool(studio.list_jobs)
        await listeners.serve(socket, {"type": "jobs", "jobs": jobs})

    async def page(request: Request) -> Response:
        text = (STATIC_FOLDER / "index.html").read_text(encoding="utf-8")
        return Response(text.replace("{nonce}", request.state.nonce), media_type="text/html")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(studio))
        try:
            yield
        finally:
            watching.cancel()
            await run_in_threadpool(studio.close)

    film = "/api/films/{film}"
    routes = [
        Route("/", page),
        Mount("/static", StaticFiles(directory=STATIC_FOLDER)),
        Route("/api/begin", answer(begin)),
        Route("/api/films", upload, methods=["POST"]),
        Route(film, answer(lambda request: studio.open_film(_film(request)))),
        Route(f"{film}/state", answer(save), methods=["PUT"]),
        Route(f"{film}/read", answer(read), methods=["POST"]),
        Route(f"{film}/frame", answer(frame)),
        Route(f"{film}/thumbnail", answer(thumbnail)),
        Route(f"{film}/media", answer(lambda request: _file(request, studio.films.path(_film(request))))),
        Route(f"{film}/curves", answer(curves)),
        Route(f"{film}/mask", answer(
            lambda request: studio.keep_mask(_film(request), request.state.body)), methods=["PUT"]),
        Route(f"{film}/dream", answer(dream), methods=["POST"]),
        Route(f"{film}/job", answer(add_job), methods=["POST"]),
        Route("/api/gallery/{net}/find", answer(find_names)),
        Route("/api/gallery/{net}/{kind}", answer(fill_gallery), methods=["POST"]),
        Route("/api/gallery/{net}/{kind}/{name}", answer(entry)),
        Route("/api/atoms/{kind}", answer(atom)),
        Route("/api/dreams/{made}/{name}", answer(lambda request: _file(
            request, studio.made_file(request.path_params["made"], request.path_params["name"])))),
        Route("/api/jobs/{job}/partial", answer(partial), methods=["POST"]),
        Route("/api/jobs/{job}/{action}", answer(change_job), methods=["POST"]),
        Route("/api/jobs/{job}/record", answer(job_record)),
        Route("/api/jobs/{job}/{kind}", answer(job_file)),
        WebSocketRoute("/api/events", events),
    ]  # fmt: skip
    handlers: Any = {UserError: refuse, OSError: _refuse_disk, ValueError: _refuse_value}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return Guard(app, port, token)


async def _watch(studio: Studio) -> None:
    """Look after the queue, and whom nobody asks anything."""
    while True:
        with suppress(UserError, OSError):
            await run_in_threadpool(studio.advance)
        await asyncio.sleep(WATCH_SECONDS)


def _film(request: Request) -> str:
    return str(request.path_params["film"])


def _number(request: Request, name: str, usual: float | None = None) -> float:
    """A number from the address; `UserError`: it is none."""
    text = request.query_params.get(name)
    if text is None and usual is not None:
        return usual
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not -1e9 < value < 1e9:
        raise UserError(f"{name} is a number of seconds or pixels")
    return max(value, 0.0)


def _json(request: Request) -> dict[str, Any]:
    return read_json(request.state.body)


async def _receive_file(request: Request, path: Path) -> None:
    """Write what a request brings to a new file; nothing is left of one that breaks off."""
    draft, size = path.with_name(f".{uuid.uuid4().hex}.upload"), 0
    try:
        with open(draft, "xb") as file:
            async for part in request.stream():
                size += len(part)
                if size > MAX_UPLOAD_BYTES:
                    raise UserError(
                        f"{path.name}: is larger than {MAX_UPLOAD_BYTES >> 30} GB; it is not added"
                    )
                await run_in_threadpool(file.write, part)
        os.link(draft, path)  # Never over a file that has appeared meanwhile.
    finally:
        draft.unlink(missing_ok=True)


def _file(request: Request, path: Path, download: str | None = None) -> Response:
    """A file, or the one range of it that is asked for."""
    if request.headers.get("range", "").count(",") >= MAX_RANGES:
        return PlainTextResponse("ask for one range", 416)
    return FileResponse(path, filename=download)


async def _refuse_disk(request: Request, error: Exception) -> Response:
    strerror = error.strerror if isinstance(error, OSError) else ""
    return JSONResponse({"error": f"the disk says: {strerror or error}"}, 507)


async def _refuse_value(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"this cannot be done: {error}"}, 422)
