"""Which requests the studio and live play answer, and what every answer tells: one rule, one place.

Another site's page can send requests to this machine too, and another user of it can open its ports. So who
is asked for must be this machine by name, who asks must hold the cookie that the opening address was
exchanged for, and what changes something must come from the studio's own page.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-mmdream"
"""What the studio's page adds to requests that change something: no form and no other site can."""
SAFE_METHODS = {"GET", "HEAD"}
STATIC = "/static/"
"""The page's own files, which are anybody's."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
REFUSED = "This is a page of mmdream. Open it by the address that was printed when it began."


class Guard:
    """Wraps the application; refuses what is not its own page's with status 400, 401, 403 or 405."""

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self._app, self._token = app, token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._cookie, self._secret = f"mmdream-{port}", secrets.token_urlsafe(32)
        self._exchanged = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        answer = self._refuse(scope)
        if scope["type"] == "websocket":
            if answer is not None:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["nonce"] = nonce
        await (answer or self._app)(scope, receive, _with_headers(send, nonce, scope["path"]))

    def _refuse(self, scope: Scope) -> Response | None:
        """The answer to a request that the application is not asked; None: it is."""
        headers, path = Headers(scope=scope), scope["path"]
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return PlainTextResponse("unknown host", 400)
        is_socket, method = scope["type"] == "websocket", scope.get("method", "GET")
        if (is_socket or method not in SAFE_METHODS) and headers.getlist("origin") not in [
            [origin] for origin in self._origins
        ]:
            return PlainTextResponse("not from the studio's own page", 403)
        if path == "/" and method == "GET" and not is_socket:
            return self._open(scope, headers)
        if path.startswith(STATIC) and method in SAFE_METHODS and not is_socket:
            return None
        if not self._holds_cookie(headers):
            return PlainTextResponse(REFUSED, 401)
        if not is_socket and method not in SAFE_METHODS and headers.get(HEADER) != "1":
            return PlainTextResponse(f"the header {HEADER} is missing", 403)
        return None

    def _open(self, scope: Scope, headers: Headers) -> Response | None:
        """The page itself: for who holds the cookie, or for the first who brings the token."""
        query = scope.get("query_string", b"").decode("latin-1")
        if query.startswith("token="):
            if self._exchanged or not hmac.compare_digest(query.removeprefix("token="), self._token):
                # Who opened the address before holds the cookie.
                return self._redirect() if self._holds_cookie(headers) else PlainTextResponse(REFUSED, 401)
            self._exchanged = True
            answer = self._redirect()
            answer.set_cookie(self._cookie, self._secret, httponly=True, samesite="strict", path="/")
            return answer
        return None if self._holds_cookie(headers) else PlainTextResponse(REFUSED, 401)

    def _redirect(self) -> Response:
        return RedirectResponse("/", 303)

    def _holds_cookie(self, headers: Headers) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        held = cookies.get(self._cookie)
        return held is not None and hmac.compare_digest(held.value.encode(), self._secret.encode())


def _with_headers(send: Send, nonce: str, path: str) -> Send:
    """A sender that adds what every answer tells."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["X-Frame-Options"] = "DENY"
            headers.setdefault("Cache-Control", "no-cache" if path.startswith(STATIC) else "no-store")
        await send(message)

    return add
