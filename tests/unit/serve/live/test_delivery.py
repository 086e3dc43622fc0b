"""``pitwall.serve.live.delivery``: whatever happens, each client can account for every point."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.serve.live.plays import EVENTS, VIEWERS, Play


class DeliveryTests(SynchronousTestCase):
    """Clients against what was published."""

    @settings(deadline=None, max_examples=60)
    @given(VIEWERS, st.lists(EVENTS, max_size=30))
    def test_anything(self, viewers: list[tuple[int, bool]], events: list[Any]) -> None:
        """A client that reads, slowly or not, comes and goes and changes its mind, misses nothing."""
        play = Play(self, 100_000, viewers)
        for event in events:
            play.play(event)
        play.end()
        for viewer in play.viewers:
            self.assertEqual(viewer.missed, 0)

    @settings(deadline=None, max_examples=40)
    @given(VIEWERS, st.lists(EVENTS, max_size=20))
    def test_small_ring(self, viewers: list[tuple[int, bool]], events: list[Any]) -> None:
        """Where the ring goes round before a client has read, it sees that it has missed something."""
        play = Play(self, 40, viewers)
        for event in events:
            play.play(event)
        play.end()
