"""The official timing file: its laps, and what is said of lines that are none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.errors import WireError
from pitwall.wire.timing import OfficialLap, parse_timing

HEADER = (
    b"NUMBER; DRIVER_NUMBER; LAP_NUMBER; LAP_TIME; CROSSING_FINISH_LINE_IN_PIT; ELAPSED; HOUR;"
    b"FLAG_AT_FL;S1_SECONDS;S2_SECONDS;S3_SECONDS;\n"
)
LAP = b"03;1;7;1:54.168;;1:01:54.168;13:42:35.322;FCY;33.413;43.534;37.221;\n"


class TimingTests(SynchronousTestCase):
    """``parse_timing``."""

    def test_lap(self) -> None:
        """A line is a lap, with its times in seconds, and the car's number as it is written."""
        timing = parse_timing(HEADER + LAP)
        wanted = OfficialLap("03", 7, 114.168, (33.413, 43.534, 37.221), "FCY", False, 3714.168, 49355.322)
        self.assertEqual(timing.laps, (wanted,))
        self.assertEqual(timing.refused, ())
        self.assertEqual((timing.of_car("03"), timing.of_car("3")), ((wanted,), ()))
        self.assertFalse(wanted.racing)

    def test_bytes(self) -> None:
        """A byte order mark, CRLF, quotes and empty lines make no difference."""
        content = b"\xef\xbb\xbf" + (HEADER + LAP + b"\n" + LAP.replace(b"03;", b'"03";', 1)).replace(b"\n", b"\r\n")
        laps = parse_timing(content).laps
        self.assertEqual(laps, parse_timing(HEADER + LAP).laps * 2)

    def test_pits(self) -> None:
        """A lap that ends in the pits is no racing lap; a green one that does not is."""
        green = LAP.replace(b"FCY", b"GF")
        first, second = parse_timing(HEADER + green + green.replace(b"168;;", b"168;B;")).laps
        self.assertEqual((first.racing, second.racing, second.in_pit), (True, False, True))

    def test_fewest_columns(self) -> None:
        """The car, the lap, its time and a sector are enough."""
        (lap,) = parse_timing(b"NUMBER;LAP_NUMBER;LAP_TIME;S1_SECONDS\n7;1;58.2;58.2").laps
        self.assertEqual(lap, OfficialLap("7", 1, 58.2, (58.2,)))

    def test_bad_lines(self) -> None:
        """A bad line is named with its column, and the others are read."""
        for old, new, reason, field in (
            (b"03;1", b"x;1", "wrong_type", "NUMBER"),
            (b";7;", b";;", "wrong_type", "LAP_NUMBER"),
            (b"1:54.168;;", b"1:5x;;", "wrong_type", "LAP_TIME"),
            (b"33.413", b"", "wrong_type", "S1_SECONDS"),
            (b"43.534", b"0", "out_of_range", "S2_SECONDS"),
            (b"37.221;", b"37.221", "csv_fields", None),
        ):
            timing = parse_timing(HEADER + LAP + LAP.replace(old, new, 1) + LAP)
            self.assertEqual(len(timing.laps), 2)
            (error,) = timing.refused
            self.assertEqual((error.reason, error.field), (reason, field))
            self.assertTrue(error.message.startswith("line 3: "), error.message)
            self.assertIn(field or "11 cells", error.message)

    def test_other_files(self) -> None:
        """Another file is refused, with the column that it lacks."""
        for content in (b"", b"\n", b"meta_time,speed\n1,2\n", HEADER.replace(b"S1_SECONDS", b"S1")):
            error = self.assertRaises(WireError, parse_timing, content)
            self.assertEqual(error.reason, "missing_field")
        self.assertEqual(self.assertRaises(WireError, parse_timing, b"\xff\xfeN").reason, "not_utf8")

    @given(st.binary(max_size=200))
    def test_anything(self, rest: bytes) -> None:
        """Whatever follows the header makes laps or refusals, and nothing else."""
        try:
            timing = parse_timing(HEADER + rest)
        except WireError as error:
            self.assertEqual(error.reason, "not_utf8")
        else:
            self.assertLessEqual(len(timing.laps) + len(timing.refused), rest.count(b"\n") + 1)
