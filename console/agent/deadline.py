"""A moment on the host's monotonic clock, shared by an agent and the process it supervises."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_FORMAT = struct.Struct("d")


class Deadline:
    """Eight bytes in a file that both processes map. A write is one aligned store: never read half."""

    def __init__(self, path: str | Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, _FORMAT.size)
            self._memory = mmap.mmap(descriptor, _FORMAT.size)
        finally:
            os.close(descriptor)

    def read(self) -> float:
        """Seconds of CLOCK_MONOTONIC, which is one clock for all processes of a host."""
        (value,) = _FORMAT.unpack(self._memory[:])
        return float(value)

    def write(self, at_s: float) -> None:
        self._memory[:] = _FORMAT.pack(at_s)
