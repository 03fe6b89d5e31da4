"""
An object store with the interface of S3, on loopback: moto's server, every request recorded, any of them held back.

```python
with S3Server() as store:
    store.make_bucket("data")
    store.hold(lambda request: "partNumber=2" in request.query)
    ...
    store.release()
```
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tests.servers.programs import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEADLINE = 20.0
_STORED = 200
_NOT_IMPLEMENTED = b"<Error><Code>NotImplemented</Code><Message>of a header</Message></Error>"


class S3Request(NamedTuple):
    """One request; ``path`` is ``/bucket/key``."""

    method: str
    path: str
    query: str


class S3Server:
    """A store that is empty at first; ``options`` are the storage options by which fsspec opens it."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._is_held: Callable[[S3Request], bool] | None = None
        self._released = threading.Event()
        self.knows_conditions = True
        """Whether it can refuse to replace an object; some stores like S3 cannot."""
        self.requests: list[S3Request] = []
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.options: dict[str, Any] = {"key": "tester", "secret": "of-no-store", "endpoint_url": self.url}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join(DEADLINE)
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = S3Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        self.requests.append(request)
        if self._is_held is not None and self._is_held(request):
            self._released.wait(DEADLINE)
        if not self.knows_conditions and "HTTP_IF_NONE_MATCH" in environ:
            start_response("501 Not Implemented", [("Content-Type", "application/xml")])
            return [_NOT_IMPLEMENTED]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def hold(self, is_held: Callable[[S3Request], bool]) -> None:
        """Let the requests wait, from now on, that the condition is true of."""
        self._released.clear()
        self._is_held = is_held

    def release(self) -> None:
        """Let none wait any longer."""
        self._is_held = None
        self._released.set()

    def until(self, is_so: Callable[[S3Request], bool], count: int = 1) -> None:
        """Wait until so many requests came that the condition is true of."""
        poll(lambda: sum(map(is_so, self.requests)) >= count, deadline=DEADLINE, what="a request to the store")

    def make_bucket(self, name: str) -> str:
        """Make a bucket, and return its name."""
        self._ask("PUT", f"/{name}")
        return name

    def body(self, path: str) -> bytes | None:
        """Return what is at ``bucket/key``; None where nothing is."""
        status, body = self._ask("GET", f"/{path}")
        return body if status == _STORED else None

    def put(self, path: str, body: bytes) -> None:
        """Store an object behind everybody's back."""
        self._ask("PUT", f"/{path}", body)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self._server.server_port, timeout=DEADLINE)
        try:
            # Whatever is signed is taken; unsigned requests are those of a public website.
            connection.request(method, path, body, {"Authorization": "AWS4-HMAC-SHA256 Credential=t/1/us-east-1/s3/x"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
