"""uvicorn's protocol with bounds on the head of a request: uvicorn itself waits for ever and takes any size."""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.settings import LimitSettings

_SAID = b"The head of the request is too large."
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_SAID), _SAID)
)


def bounded(limits: LimitSettings) -> type[HttpToolsProtocol]:
    """The protocol class with these limits. A connection that brings no whole head in time is closed."""

    class Bounded(HttpToolsProtocol):
        """One connection."""

        _bytes = 0
        """Of a head that is not complete yet."""
        _whole = False
        """Whether the head of the newest request is complete."""
        _timer: TimerHandle | None = None

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._bytes, self._whole = 0, False

        def on_headers_complete(self) -> None:
            self._whole = True
            self._stop_timer()
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            going_on = not self._whole
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self._whole:
                if self.cycle.response_complete and self._timer is None:  # bytes behind an answer, and no new head
                    self._await_head()
                return
            self._bytes += len(data) if going_on else 0
            if self._bytes > limits.head_bytes:
                self.transport.write(TOO_LARGE)
                self.transport.close()
            elif self._timer is None:
                self._await_head()

        def _await_head(self) -> None:
            self._timer = self.loop.call_later(limits.head_seconds, self._too_late)

        def _too_late(self) -> None:
            self._timer = None
            self.transport.close()

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Bounded
