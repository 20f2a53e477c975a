"""Making written bytes survive a power cut, on Linux and on macOS."""

from __future__ import annotations

import errno
import os
import sys


def sync_file(descriptor: int) -> None:
    """Return once what was written to `descriptor` is on the disk. Raises OSError.

    On macOS, fsync(2) only hands the bytes to the drive, which may keep them in its cache;
    F_FULLFSYNC empties that cache (Apple's man page of fsync). File systems that cannot, such as
    network volumes, answer ENOTSUP or EINVAL; then fsync is all there is.
    """
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
        else:
            return
    os.fsync(descriptor)
