"""The guard of the server, which lets through the page's own requests alone, under the names of this machine."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

_HEADERS = {
    # The page's own script is text that Gradio runs; nothing may come from, or go to, another machine.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'self'; object-src 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_GET = ("assets/", "static/", "theme.css", "config", "favicon", "svelte/", "gradio_api/heartbeat", "gradio_api/info")
_GET += ("gradio_api/startup-events", "gradio_api/app_id", "gradio_api/theme.css", "gradio_api/config")
_POST = ("gradio_api/component_server",)
MOST_BYTES = 12 * 2**20  # of a question
_HERE = ("localhost", "127.0.0.1", "[::1]")

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class Guard:
    """Lets through what the page needs and nothing else, so no upload, no file and no proxy.

    Args:
        app: the server behind it.
        names: hosts that it may be asked by, so that no page of another site reaches it under a name of its own; None
            for any.
    """

    def __init__(self, app: App, names: Iterable[str] | None = _HERE) -> None:
        self._app, self._names = app, None if names is None else frozenset(names)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self.refusal(scope)
        if refusal is not None:
            status, reason = refusal
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": reason.encode()})
            return

        async def guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = {name.encode(): value.encode() for name, value in _HEADERS.items()}
                if _path(scope).startswith(("assets/", "static/")):
                    del ours[b"cache-control"]  # files whose names change with what they hold
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
                message = {**message, "headers": [*kept, *ours.items()]}
            await send(message)

        await self._app(scope, receive, guarded)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Says why a request is refused, with its status, or returns None where it is not."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if self._names is not None and name not in self._names:
            return (
                403,
                f"the explorer is not reached under the name {name!r}; use one of {', '.join(sorted(self._names))}",
            )
        path, method = _path(scope), scope["method"]
        if method in ("GET", "HEAD"):
            known = path == "" or path.startswith(_GET)
        else:
            known = method == "POST" and path.startswith(_POST)
        if not known or ".." in path:
            return 404, "the explorer has no such page"
        length = headers.get("content-length", "0" if method in ("GET", "HEAD") else "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return 413, f"a question has at most {MOST_BYTES:,} bytes"
        return None


def _path(scope: Scope) -> str:
    return str(scope["path"]).lstrip("/")
