"""Real recordings in the columns of ``pitwall.msgpack``: the same points, in about half the bytes."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.point import iso_text
from pitwall.wire import columnar
from tests.end_to_end.test_recordings import NO_DATA, posted, recordings, reduced, triggers
from tests.unit.wire.test_columnar import moment_of, read, read_points, share

#: The most that messages of so many points may take, as a share of the JSON, all of a file's together.
MOST = {1: 0.83, 8: 0.49, 40: 0.44, 1000: 0.42}


class RecordedColumnsTests(SynchronousTestCase):
    """The points of every file."""

    skip = NO_DATA

    def test_every_file(self) -> None:
        """Each point is read again as it was, and no message of eight or more has over 55 % of the bytes of JSON."""
        for path in (*recordings(), *reduced(), *triggers()):
            _, hub = posted(self, path, "&track=barber")
            raws = hub.ring.newest(hub.last_seq)
            points = list(map(msgspec.json.decode, raws))
            got = read_points(read(columnar.telemetry_update("e", 0, len(points), points)))
            for point in got:
                point["meta_time"] = iso_text(moment_of(point["meta_time"]))
            self.assertEqual(got, points, path.name)
            for size, most in MOST.items():
                # The last of them may have fewer points.
                parts = [raws[start : start + size] for start in range(0, max(len(raws) - size, 0) + 1, size)]
                shares = [share(part) for part in parts if len(part) == size]
                if shares:
                    self.assertLessEqual(sum(shares) / len(shares), most, (path.name, size))
                    self.assertLessEqual(max(shares), 0.89 if size == 1 else 0.55, (path.name, size))
