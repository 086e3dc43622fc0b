"""A stand-in."""
from __future__ import annotations
from typing import Any
from msgspec import Struct

class Axes(Struct):
    n: int = 0
    @property
    def flipped(self) -> tuple[str, ...]: return ()
    @property
    def stuck(self) -> tuple[str, ...]: return ()
    def add(self, rows: Any) -> None: self.n += 1
