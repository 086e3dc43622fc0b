"""Large arrays in slices: nothing is lost, nothing is invented, and no array holds the server up."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire import slices
from pitwall.wire.errors import WireError
from pitwall.wire.points import DECODE_ERRORS, PointDecoder
from pitwall.wire.slices import LONGEST_POINT, SLICE_BYTES, array_slices
from tests.strategies import NOISE, RECEIVED_AT, encode, vendor_points

OBJECT = b'{"track":"barber","chassis":"GR86-004-78","note":"},{ \\"},\\n{ "}'
WHOLE = msgspec.json.Decoder(list[msgspec.Raw])


def refusal(body: bytes) -> str:
    """Why an array was given up."""
    try:
        list(array_slices(body))
    except WireError as error:
        return error.reason
    return ""


class SlicesTests(SynchronousTestCase):
    """`array_slices` gives an array's elements as they stand there."""

    def test_all(self) -> None:
        """Every element of an array of megabytes comes once, in order, whatever its texts look like."""
        elements = [OBJECT.replace(b"78", b"%d" % n) for n in range(20_000)]
        parts = list(array_slices(b" [ " + b" ,\r\n\t".join(elements) + b" ]\n"))
        self.assertEqual([element for part in parts for element in part], elements)
        self.assertGreater(len(parts), 4)
        for part in parts:
            self.assertLess(sum(map(len, part)), 2 * SLICE_BYTES)

    @given(st.lists(vendor_points().map(encode) | NOISE, max_size=8), st.integers(1, 60))
    def test_any_cut(self, elements: list[bytes], size: int) -> None:
        """However it is cut, an array gives what it gives as a whole, or is refused."""
        body = b"[" + b",".join(elements) + b"]"
        self.patch(slices, "SLICE_BYTES", size)
        try:
            cut = [element for part in array_slices(body) for element in part]
        except WireError as error:
            self.assertIn(error.reason, WireError.REASONS)
            self.assertRaises(DECODE_ERRORS, WHOLE.decode, body)
        else:
            self.assertEqual(cut, list(map(bytes, WHOLE.decode(body))))
            decoded = PointDecoder().objects(cut, RECEIVED_AT)
            self.assertEqual(len(decoded.points) + len(decoded.refused), len(cut))

    def test_not_json(self) -> None:
        """What is no JSON, or no array, is refused before anything of it is taken."""
        self.assertEqual(refusal(OBJECT), "not_json")
        good = b",".join([OBJECT] * 10_000)
        for body in (b"[" + good, b"[" + good + b",]", b"[" + good + b"]]", b"[" + good + b",nope]"):
            with self.assertRaises(WireError) as caught:
                next(array_slices(body))
            self.assertEqual(caught.exception.reason, "not_json")

    def test_no_points(self) -> None:
        """An array of what can be no points is given up, not held in memory."""
        self.assertEqual(refusal(b"[" + b"1," * LONGEST_POINT + b"1]"), "not_an_object")
        self.assertEqual(refusal(b'["' + b"x" * 3 * LONGEST_POINT + b'"]'), "not_an_object")

    def test_full_of_marks(self) -> None:
        """An element full of what looks like ends of elements is looked at a few times, not once for each."""
        looks = 0

        def counted(text: bytes) -> list[bytes]:
            nonlocal looks
            looks += 1
            return list(split(text))

        split = slices._split
        self.patch(slices, "_split", counted)
        self.assertEqual(refusal(b'[{"a":[' + b"{}," * LONGEST_POINT + b"{}]}]"), "too_long")
        self.assertLess(looks, 30)
