"""``pitwall.model.filenames``: what a file's name tells."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.filenames import car_of, stem_of, track_of, trigger_of
from pitwall.model.track import packaged_tracks


class FileNameTests(SynchronousTestCase):
    """A key, a path or a bare name will do."""

    def test_track(self) -> None:
        """The name comes before the folders, the nearest folder before the others."""
        tracks = packaged_tracks()
        for path, track in (
            ("barber.csv.gz", "barber"),
            ("R1_barber_lap_start.csv", "barber"),
            ("cota/R1_barber.csv", "barber"),
            ("sebring/cota/day1.csv", "cota"),
            ("x_road_america_R2.csv", "road_america"),
            ("day1.csv", None),
            ("", None),
        ):
            self.assertEqual(track_of(path, tracks), track, path)

    def test_car(self) -> None:
        """A vehicle id in the name is the car; a folder's is not."""
        self.assertEqual(car_of("telemetry/barber/GR86-013-80.csv.gz"), "GR86-013-80")
        self.assertEqual(car_of("R1_GR86-013-080_fast.csv"), "GR86-013-080")
        self.assertIsNone(car_of("GR86-013-80/day1.csv"))
        self.assertIsNone(car_of("GR86-013-8000.csv"))

    def test_stem(self) -> None:
        """The name up to its first dot."""
        self.assertEqual((stem_of("a/b/c.csv.gz"), stem_of("a/.csv")), ("c", None))

    def test_trigger(self) -> None:
        """Times of lap ends are lap ends."""
        for path, kind in (
            ("R1_barber_lap_start.csv", "lap_start"),
            ("sonoma_lap_end_time_R1.csv", "lap_end"),
            ("sonoma_LAP-TIME_R1.csv", "lap_time"),
            ("lap_time/telemetry.csv", None),
        ):
            self.assertEqual(trigger_of(path), kind, path)
