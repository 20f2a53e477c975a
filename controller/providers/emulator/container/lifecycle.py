"""One life of one pod: boot, run, restart what ends, stop. A thread that owns the container."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import Protocol

from controller.errors import PodctlError
from controller.providers.emulator.container.container import Container, ContainerSpec
from controller.providers.emulator.records import Pod

POLL_SECONDS = 0.1  # how soon the end of a container is noticed


class Host(Protocol):
    """What a life tells the cloud, and asks of it. Called from the life's thread."""

    def starting(self, pod: Pod, life: int) -> None: ...
    def spec(self, pod: Pod) -> ContainerSpec: ...
    def boot_error(self, pod: Pod) -> str: ...
    def started(self, pod: Pod, life: int, pid: int) -> None: ...
    def broken(self, pod: Pod, life: int, why: str) -> None: ...
    def lost(self, pod: Pod) -> None: ...
    def restarting(self, pod: Pod) -> None: ...


class Life(threading.Thread):
    """Runs from a start to the next stop. `after` is the pod's earlier life, waited for first."""

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
        self._over = threading.Event()
        self._term_seconds = 0.0
        self._leave = False
        self._then: Callable[[], None] | None = None
        self._container: Container | None = None

    def stop(self, term_seconds: float, then: Callable[[], None] | None = None) -> None:
        """SIGTERM, then after `term_seconds` the end; `then` runs when nothing is left."""
        self._term_seconds = term_seconds
        self._then = then
        self._over.set()

    def leave(self) -> None:
        """End this thread and let the container be."""
        self._leave = True
        self._over.set()

    def crash(self) -> None:
        """Kill the container as it is; it starts again, as after any end of its command."""
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
            self._over.wait()
        finally:
            self._end()

    def _attached(self) -> bool:
        """Take up the container that an earlier emulator started; False when it is gone."""
        self._container = Container.attach(self._host.spec(self.pod), self.pod.pid or 0)
        if self._container is None:
            self._host.lost(self.pod)
        return self._container is not None

    def _boot(self) -> bool:
        """Wait as long as booting takes; False when stopped meanwhile."""
        whole = self.pod.boot_until - self.pod.boot_at
        if self._over.wait(_until(self.pod.boot_at + 0.4 * whole)):
            return False
        self._host.starting(self.pod, self._number)
        if self._over.wait(_until(self.pod.boot_until)):
            return False
        while self._host.boot_error(self.pod):
            if self._over.wait(max(1.0, self._restart_seconds)):
                return False
        self._launch()
        return True

    def _launch(self) -> None:
        self._container = Container.start(self._host.spec(self.pod))
        self._host.started(self.pod, self._number, self._container.pid)

    def _watch(self) -> None:
        """Start the container again whenever its first process ends, with a growing pause."""
        pause = self._restart_seconds
        while not self._over.is_set():
            if self._container is not None and self._container.running():
                self._over.wait(POLL_SECONDS)
                continue
            self._host.restarting(self.pod)
            if self._over.wait(pause):
                return
            pause = min(pause * 2, max(10.0, self._restart_seconds))
            self._launch()

    def _end(self) -> None:
        if self._container is not None and not self._leave:
            self._container.stop(self._term_seconds)
        if self._then is not None:
            self._then()


def _until(moment: float) -> float:
    return max(0.0, moment - time.time())
