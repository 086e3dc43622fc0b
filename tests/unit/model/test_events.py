"""``pitwall.model.events``: which race was where."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.events import EVENTS, parse_events
from pitwall.model.track import packaged_tracks


class EventTests(SynchronousTestCase):
    """The events, and further ones from the settings."""

    def test_tracks_are_there(self) -> None:
        """The track of each event is a packaged one, by its own name."""
        tracks = packaged_tracks()
        for track in EVENTS.values():
            found = tracks.get(track)
            assert found is not None, track
            self.assertEqual(found.name, track)

    def test_pairs(self) -> None:
        """Pairs are parted by commas; blanks and empty ones do not count."""
        self.assertEqual(parse_events(" A = cota,, B=sebring ,"), {"A": "cota", "B": "sebring"})
        self.assertEqual(parse_events(""), {})

    def test_no_pairs(self) -> None:
        """What is no pair is refused, and shown."""
        for text in ("A", "=cota", "A=", "x" * 65 + "=cota"):
            with self.assertRaisesRegex(ValueError, "is no EVENT=TRACK"):
                parse_events(text)
