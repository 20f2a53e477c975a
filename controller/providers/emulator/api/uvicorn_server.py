"""The door to uvicorn."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp


def listen(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve `app` until SIGTERM, SIGINT or SIGHUP; `ready` is called once requests are answered."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,  # log streams never end by themselves
        timeout_keep_alive=75,
    )
    _Server(config, ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on the signals, and do not raise them again: there is more to clear away.

        A handler that raises would be swallowed by the event loop. An ignored SIGHUP stays
        ignored, as `nohup` requires.
        """
        heard = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        before = {one: signal.signal(one, self.handle_exit) for one in heard}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
