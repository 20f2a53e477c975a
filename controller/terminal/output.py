"""The standard streams: a closed pipe or a full disk is an error of its own kind."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass, field
from typing import IO

from controller.errors import PodctlError
from controller.terminal.streams import encodable


class OutputClosed(PodctlError):
    """The reader of standard output closed it (128 + SIGPIPE)."""

    exit_code = 141
    code = "output-closed"


@dataclass
class Output:
    """stdout, whose failure is an error, and stderr, whose failure is none."""

    out: IO[str] | None = field(default_factory=lambda: sys.stdout)
    err: IO[str] | None = field(default_factory=lambda: sys.stderr)

    def write_err(self, text: str) -> None:
        if self.err is None:
            return
        try:
            self.err.write(encodable(text, self.err))
            self.err.flush()
        except (OSError, ValueError):
            self.err = None  # a closed stderr is no reason to stop

    def write_out(self, text: str) -> None:
        if self.out is None:
            raise self._closed()
        try:
            self.out.write(encodable(text, self.out))
            self.out.flush()
        except (OSError, ValueError) as error:
            raise self.unwritten(error) from error

    def unwritten(self, error: OSError | ValueError) -> PodctlError:
        """The error for a failed write; EIO means a closed terminal and counts as a closed pipe."""
        if isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EIO):
            self._discard()
            return PodctlError("cannot write to standard output", cause=str(error))
        return self._closed()

    def _closed(self) -> OutputClosed:
        self._discard()
        return OutputClosed("standard output is closed")

    def _discard(self) -> None:
        """Replace a broken stdout, or the interpreter's last flush fails again."""
        if self.out is not None and self.out is getattr(sys.stdout, "stream", sys.stdout):
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        self.out = None
