"""What a client's delivery needs of its connection."""

from __future__ import annotations

from typing import Protocol

from pitwall.serve.live.frames import Frame


class Outlet(Protocol):
    """The connection."""

    paused: bool

    def write(self, frame: Frame) -> None:
        """Write telemetry."""

    def say(self, frame: Frame) -> None:
        """Write what is not to be left out."""

    def ping(self, payload: bytes) -> None:
        """Write a ping."""

    def fail(self) -> None:
        """Log the exception that is being handled, and close."""
