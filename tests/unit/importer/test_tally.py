"""What became of the rows, added up."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.tally import MOST_REJECTIONS, Answer, Rejected, Rejection, Tally, report, total


def an_answer(rejected: int = 0, **figures: int) -> Answer:
    """An answer with some rows refused."""
    listed = [Rejected(2 * n, "out_of_range", "rpm is 40000", "rpm") for n in range(min(rejected, 100))]
    reasons = {"out_of_range": rejected} if rejected else {}
    found = msgspec.convert({"accepted": 0, "rows": 0, "rejected_total": rejected, **figures}, Answer)
    found.rejected, found.rejected_by_reason = listed, reasons
    return found


class TallyTests(SynchronousTestCase):
    """`Tally` adds answers up."""

    def test_answer(self) -> None:
        """The server's answer is read as it is documented; what it says further is left out."""
        answer = msgspec.json.decode(
            b'{"ok":true,"rows":4,"accepted":2,"duplicates":1,"points":1,"rejected":[{"index":3,"field":null,'
            b'"reason":"bad_time","message":"no time"}],"rejected_total":1,"rejected_by_reason":{"bad_time":1},'
            b'"repairs":{"lap_unknown":2},"more":true}',
            type=Answer,
        )
        tally = Tally("a.csv")
        tally.add(answer, 11)
        self.assertEqual((tally.rows, tally.accepted, tally.duplicates, tally.rejected, tally.points), (4, 2, 1, 1, 1))
        self.assertEqual(tally.rejections, [Rejection(14, None, "bad_time", "no time")])
        self.assertEqual((tally.reasons, tally.repairs), ({"bad_time": 1}, {"lap_unknown": 2}))

    def test_rows_of_the_file(self) -> None:
        """A refused row is told by its number in the file, from 1."""
        tally = Tally("a.csv")
        tally.add(an_answer(2), 1)
        tally.add(an_answer(1), 1001)
        tally.add(Answer(0, 1, 1, rejected=[Rejected(None, "empty")]), 2001)
        self.assertEqual([rejection.row for rejection in tally.rejections], [1, 3, 1001, None])

    def test_bounded(self) -> None:
        """However much is refused, only the first rejections are kept, and all are counted."""
        tally = Tally("a.csv")
        for n in range(5):
            tally.add(an_answer(5000), 1 + 5000 * n)
        self.assertEqual((len(tally.rejections), tally.rejected), (MOST_REJECTIONS, 25_000))

    def test_ok(self) -> None:
        """Duplicates are fine; a refused row, or a file that could not be sent, is not."""
        tally = Tally("a.csv")
        tally.add(an_answer(rows=3, accepted=1, duplicates=2), 1)
        self.assertTrue(tally.ok)
        self.assertFalse(Tally("b.csv", error="is a directory, wanted files").ok)
        tally.add(an_answer(1), 4)
        self.assertFalse(tally.ok)

    def test_report(self) -> None:
        """The JSON has each file and the sum of all."""
        first, second = Tally("a.csv"), Tally("b.csv", error="no such file or directory")
        first.add(an_answer(1, rows=5, accepted=4, points=2), 1)
        content = msgspec.json.decode(msgspec.json.encode(report([first, second], ok=False)))
        counts = {"rows": 5, "accepted": 4, "duplicates": 0, "rejected": 1, "points": 2}
        figures = {**counts, "rejected_by_reason": {"out_of_range": 1}, "repairs": {}}
        self.assertEqual(content["total"], figures)
        rejection = {"row": 1, "field": "rpm", "reason": "out_of_range", "message": "rpm is 40000"}
        self.assertEqual(content["files"][0], {"file": "a.csv", **figures, "rejections": [rejection], "error": None})
        self.assertEqual(content["files"][1]["error"], "no such file or directory")
        self.assertEqual((content["ok"], content["error"]), (False, None))

    def test_total(self) -> None:
        """Figures and reasons of the files add up."""
        one, other = Tally("a"), Tally("b")
        one.add(an_answer(2, rows=4, accepted=2), 1)
        other.add(an_answer(1, rows=1), 1)
        summed = total([one, other])
        self.assertEqual((summed.rows, summed.accepted, summed.rejected), (5, 2, 3))
        self.assertEqual(summed.reasons, {"out_of_range": 3})
