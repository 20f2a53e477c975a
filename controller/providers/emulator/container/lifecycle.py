"""The lifecycle of one pod, from a start to the next stop: boot, run, restart, stop."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import Protocol

from controller.errors import PodctlError
from controller.providers.emulator.container.container import Container, ContainerSpec
from controller.providers.emulator.records import Pod

POLL_SECONDS = 0.1  # interval between two checks of a container


class Host(Protocol):
    """The host that a lifecycle reports to. Called from the lifecycle's thread."""

    def starting(self, pod: Pod, life: int) -> None: ...
    def spec(self, pod: Pod) -> ContainerSpec: ...
    def boot_error(self, pod: Pod) -> str: ...
    def started(self, pod: Pod, life: int, pid: int) -> None: ...
    def broken(self, pod: Pod, life: int, reason: str) -> None: ...
    def lost(self, pod: Pod) -> None: ...
    def restarting(self, pod: Pod) -> None: ...


class PodLifecycle(threading.Thread):
    """A thread that owns the container. `after` is the previous lifecycle, which has to end
    first."""

    def __init__(
        self,
        host: Host,
        pod: Pod,
        *,
        after: threading.Thread | None,
        restart_seconds: float,
        attach: bool = False,
    ) -> None:
        super().__init__(name=f"pod-{pod.id}-{pod.life}", daemon=True)
        self.pod = pod
        self._number = pod.life
        self._host = host
        self._after = after
        self._restart_seconds = restart_seconds
        self._attach = attach
        self._stopped = threading.Event()
        self._term_seconds = 0.0
        self._leave = False
        self._on_ended: Callable[[], None] | None = None
        self._container: Container | None = None

    def stop(self, term_seconds: float, callback: Callable[[], None] | None = None) -> None:
        """Stop with SIGTERM, and SIGKILL after `term_seconds`; `then` runs once all has ended."""
        self._term_seconds = term_seconds
        self._on_ended = callback
        self._stopped.set()

    def leave(self) -> None:
        """End this thread and leave the container running."""
        self._leave = True
        self._stopped.set()

    def crash(self) -> None:
        """Kill the container; it restarts as after any exit of its command."""
        if self._container is not None:
            self._container.kill()

    def run(self) -> None:
        if self._after is not None:
            self._after.join()
        try:
            if (self._attach and self._attached()) or self._boot():
                self._watch()
        except (OSError, subprocess.SubprocessError, PodctlError) as error:
            self._host.broken(self.pod, self._number, str(error))
            self._stopped.wait()
        finally:
            self._end()

    def _attached(self) -> bool:
        """Attach to the container of an earlier emulator process; False if it has ended."""
        self._container = Container.attach(self._host.spec(self.pod), self.pod.pid or 0)
        if self._container is None:
            self._host.lost(self.pod)
        return self._container is not None

    def _boot(self) -> bool:
        """Wait for the boot time and start the container; False if stopped meanwhile."""
        duration = self.pod.boot_until - self.pod.boot_at
        if self._stopped.wait(_until(self.pod.boot_at + 0.4 * duration)):
            return False
        self._host.starting(self.pod, self._number)
        if self._stopped.wait(_until(self.pod.boot_until)):
            return False
        while self._host.boot_error(self.pod):
            if self._stopped.wait(max(1.0, self._restart_seconds)):
                return False
        self._launch()
        return True

    def _launch(self) -> None:
        self._container = Container.start(self._host.spec(self.pod))
        self._host.started(self.pod, self._number, self._container.pid)

    def _watch(self) -> None:
        """Restart the container whenever its first process ends, with a growing pause."""
        pause = self._restart_seconds
        while not self._stopped.is_set():
            if self._container is not None and self._container.running():
                self._stopped.wait(POLL_SECONDS)
                continue
            self._host.restarting(self.pod)
            if self._stopped.wait(pause):
                return
            pause = min(pause * 2, max(10.0, self._restart_seconds))
            self._launch()

    def _end(self) -> None:
        if self._container is not None and not self._leave:
            self._container.stop(self._term_seconds)
        if self._on_ended is not None:
            self._on_ended()


def _until(moment: float) -> float:
    return max(0.0, moment - time.time())
