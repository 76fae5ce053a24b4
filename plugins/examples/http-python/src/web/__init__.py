"""HTTP requests to the hosts that the profile grants, by `wasi:http`."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports.http_types import (
    Fields,
    IncomingResponse,
    Method_Other,
    OutgoingBody,
    OutgoingRequest,
    Scheme_Http,
    Scheme_Https,
)
from wit_world.imports.streams import StreamError_Closed

# Most bytes that WASI takes at once.
WRITE_BYTES_MAX = 4096
READ_BYTES = 64 * 1024


class Failed(Exception):
    """There is no answer. The words are those of `wasi:http`, e.g. `HttpRequestDenied` for a host that is not granted."""


@dataclass
class Response:
    """An answer, whatever its status. Redirects are answers, too."""

    status: int
    headers: list[tuple[str, bytes]]
    body: bytes

    def text(self) -> str:
        return self.body.decode()


def send(method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Response:
    """Sends a request and waits for the whole answer. Raises `Failed` if there is none."""
    try:
        return _answer(_request(method, url, headers or {}), body)
    except Err as error:
        # What is raised as an `Err` would count as an error of the contract.
        reason = type(error.value).__name__.removeprefix("ErrorCode_")
        raise Failed(f"{method} {url}: {reason}") from None


def _request(method: str, url: str, headers: dict[str, str]) -> OutgoingRequest:
    place = urlsplit(url)
    fields = [(name, value.encode()) for name, value in headers.items()]
    request = OutgoingRequest(Fields.from_list(fields))
    request.set_method(Method_Other(method))
    request.set_scheme(Scheme_Http() if place.scheme == "http" else Scheme_Https())
    request.set_authority(place.netloc)
    request.set_path_with_query(f"{place.path or '/'}?{place.query}" if place.query else place.path or "/")
    return request


def _answer(request: OutgoingRequest, body: bytes) -> Response:
    outgoing = request.body()
    coming = outgoing_handler.handle(request, None)
    with outgoing.write() as stream:
        for start in range(0, len(body), WRITE_BYTES_MAX):
            stream.blocking_write_and_flush(body[start : start + WRITE_BYTES_MAX])
    OutgoingBody.finish(outgoing, None)
    with coming.subscribe() as answered:
        answered.block()
    match coming.get():
        case Ok(Ok(response)):
            return Response(response.status(), response.headers().entries(), _body(response))
        case Ok(Err() as error):
            raise error
        case taken:
            raise AssertionError(f"the answer is there and is taken once: {taken}")


def _body(response: IncomingResponse) -> bytes:
    chunks = []
    incoming = response.consume()
    with incoming.stream() as stream:
        while True:
            try:
                chunks.append(stream.blocking_read(READ_BYTES))
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return b"".join(chunks)
                raise
