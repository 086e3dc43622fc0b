"""Points from JSON bytes: what is accepted, what clients get of it, what is refused and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import ALIASES, CHANNELS, CORE, MAX_FIELDS, MAX_NAME, MAX_POINT, MAX_TEXT, TEXT_ALIASES
from pitwall.model.point import iso_utc
from pitwall.wire.errors import WireError
from pitwall.wire.fields import canonical
from pitwall.wire.points import MAX_VARIANTS, MAX_VENDOR_NAMES, Decoded, PointDecoder, json_object
from pitwall.wire.text import decode_document
from tests.doubles import decode_datagrams
from tests.strategies import NOISE, RECEIVED_AT, Fields, core, encode, points, read_strictly, vendor_points

A_POINT = {"meta_time": "2025-09-06T18:40:41.775Z", "track": "barber", "chassis": "GR86-004-78", "lap": 3, "rpm": 5920}
HEADED = {"track": "barber", "chassis": "GR86-004-78"}
HEAD = b'{"track":"barber","chassis":"GR86-004-78",'


def decode(fields: Fields | bytes, decoder: PointDecoder | None = None) -> Decoded:
    """What becomes of one datagram."""
    raw = fields if isinstance(fields, bytes) else encode(fields)
    return decode_datagrams(decoder or PointDecoder(), [raw], RECEIVED_AT)


class RelayTests(SynchronousTestCase):
    """Whatever is accepted can be given to every client."""

    def assert_relayable(self, decoded: Decoded) -> None:
        """Strict JSON, no nested value, finite numbers, and the same values as the point beside it."""
        self.assertEqual(len(decoded.points), len(decoded.raws))
        for point, raw in zip(decoded.points, decoded.raws, strict=True):
            content = read_strictly(raw)
            self.assertIsInstance(content, dict)
            for name, value in content.items():
                self.assertIsInstance(value, str | int | float | None)
                if isinstance(value, int | float):
                    self.assertLess(abs(float(value)), float("inf"), name)
                self.assertTrue(name)
            moment = datetime.fromisoformat(content["meta_time"])
            told = (content["track"], content["chassis"], moment, *(content.get(channel.name) for channel in CORE))
            self.assertEqual(core(point), told)
            self.assertNotIn(b"\n", raw)
            self.assertLessEqual(len(raw), MAX_POINT + 40)
        for refusal in decoded.refused:
            self.assertIn(refusal.error.reason, WireError.REASONS)
            self.assertTrue(refusal.error.message.isascii() and refusal.error.message.isprintable())
            self.assertLessEqual(len(refusal.error.message), 200)
            json.dumps(refusal.error.field, ensure_ascii=False).encode()

    @given(st.lists(NOISE, max_size=4))
    def test_datagrams(self, datagrams: list[bytes]) -> None:
        """Any datagrams give points that can be relayed, or refusals; each gives something."""
        decoder = PointDecoder()
        for _ in range(4):  # by then it has learnt the vendor's names
            decoded = decode_datagrams(decoder, datagrams, RECEIVED_AT)
            self.assert_relayable(decoded)
            self.assertGreaterEqual(len(decoded.points) + len(decoded.refused), len(datagrams))

    @given(NOISE)
    def test_documents(self, body: bytes) -> None:
        """Any posted body does."""
        self.assert_relayable(decode_document(PointDecoder(), body, RECEIVED_AT))

    @given(st.lists(NOISE, min_size=1, max_size=4))
    def test_arrays(self, elements: list[bytes]) -> None:
        """Anything in brackets does."""
        self.assert_relayable(decode_document(PointDecoder(), b"[" + b",".join(elements) + b"]", RECEIVED_AT))

    @given(st.lists(NOISE | points().map(encode), max_size=5))
    def test_company(self, datagrams: list[bytes]) -> None:
        """A datagram gives the same points whatever comes along with it."""
        together = decode_datagrams(PointDecoder(), datagrams, RECEIVED_AT)
        alone = [decode(datagram) for datagram in datagrams]
        self.assertEqual(list(map(core, together.points)), [core(point) for one in alone for point in one.points])
        self.assertEqual(
            list(map(json.loads, together.raws)), [json.loads(raw) for decoded in alone for raw in decoded.raws]
        )
        self.assertEqual(
            [refusal.error.reason for refusal in together.refused],
            [refusal.error.reason for one in alone for refusal in one.refused],
        )

    @given(vendor_points(), st.booleans())
    def test_quick_and_careful(self, fields: Fields, ascii_only: bool) -> None:
        """The quick way, once it knows the vendor, and the careful way come to the same."""
        raw = encode(fields, ascii_only)
        decoder = PointDecoder()
        for _ in range(4):
            quick = decode(raw, decoder)
        self.assertEqual(quick.refused, [])
        point, careful, _ = canonical(json_object(raw), RECEIVED_AT)
        self.assertEqual(core(quick.points[0]), core(point))
        told, wanted = json.loads(quick.raws[0]), json.loads(careful)
        self.assertEqual(datetime.fromisoformat(told.pop("meta_time")), datetime.fromisoformat(wanted.pop("meta_time")))
        self.assertEqual(told, wanted)


class AcceptedTests(SynchronousTestCase):
    """What senders send arrives as they meant it."""

    def one(self, fields: Fields | bytes, decoder: PointDecoder | None = None) -> tuple[Any, Fields]:
        """The point a datagram is taken for, and what clients get."""
        decoded = decode(fields, decoder)
        self.assertEqual(decoded.refused, [])
        self.assertEqual(len(decoded.points), 1)
        return decoded.points[0], read_strictly(decoded.raws[0])

    @given(points())
    def test_round_trip(self, fields: Fields) -> None:
        """A point that is encoded and decoded is the same point, whichever way it is written."""
        point, relayed = self.one(fields)
        for raw in decode(fields).raws:
            self.assertEqual(core(self.one(raw)[0]), core(point))
        sent = {"meta_time": iso_utc(RECEIVED_AT), **fields}
        moments = [datetime.fromisoformat(one.pop("meta_time")) for one in (sent, relayed)]
        self.assertEqual(moments[0], moments[1])
        self.assertEqual(relayed, sent)
        self.assertEqual(core(point)[:2], (fields["track"], fields["chassis"]))
        self.assertEqual(core(point)[3:], tuple(fields.get(channel.name) for channel in CORE))

    def test_byte_for_byte(self) -> None:
        """A plain point is relayed as it came, its odd spacing and spelling included."""
        raw = b' {"meta_time":"2025-09-06T18:40:41Z", "track":"barber","chassis":"x","speed_kmh":1.50e2}'
        self.assertEqual(decode(raw).raws, [raw])

    def test_stamped(self) -> None:
        """A point without a time gets that of its arrival, to the millisecond that clients see."""
        for fields in ({"track": "a", "chassis": "b"}, {"circuit": "a", "chassis": "b"}):
            point, relayed = self.one(fields)
            self.assertEqual(relayed["meta_time"], "2025-09-06T18:41:40.062Z")
            self.assertEqual(point.meta_time, datetime(2025, 9, 6, 18, 41, 40, 62_000, UTC))

    def test_aliases(self) -> None:
        """Each alias arrives under its channel's own name."""
        for alias, name in ALIASES.items():
            wanted: Fields = {**dict.fromkeys(CHANNELS, 1), **A_POINT}
            sent = {alias if key == name else key: value for key, value in wanted.items()}
            self.assertEqual(self.one(sent)[1], wanted)

    def test_alias_beside_channel(self) -> None:
        """An alias beside its channel stays what it is, however often it comes, and alone means the channel."""
        decoder = PointDecoder()
        for _ in range(6):
            point, relayed = self.one({**A_POINT, "nmot": 1}, decoder)
            self.assertEqual((point.rpm, relayed["rpm"], relayed["nmot"]), (5920, 5920, 1))
        point, relayed = self.one({"track": "a", "chassis": "b", "nmot": 4000}, decoder)
        self.assertEqual((point.rpm, relayed["rpm"]), (4000, 4000))

    def test_null(self) -> None:
        """Null means not sent: the channel is left out, and its alias counts."""
        fields = {"track": "a", "chassis": None, "vehicle": "b", "speed_kmh": None, "speed": 9, "rpm": None}
        point, relayed = self.one({**fields, "meta_time": None, "vendor": None})
        self.assertEqual((point.chassis, point.speed_kmh), ("b", 9))
        del relayed["meta_time"]
        self.assertEqual(relayed, {"track": "a", "chassis": "b", "speed_kmh": 9, "vendor": None})

    def test_numeric_text(self) -> None:
        """Numbers given as text are numbers."""
        for text, value in (("141.0", 141.0), (" +1e2 ", 100.0), (".5", 0.5), ("7.", 7.0), ("007", 7.0)):
            _, relayed = self.one({**A_POINT, "speed_kmh": text})
            self.assertEqual(relayed["speed_kmh"], value)
        _, relayed = self.one({**A_POINT, "lap": "12.0"})
        self.assertEqual(repr(relayed["lap"]), "12")

    def test_times(self) -> None:
        """The usual ways to write a moment are understood, and one without a zone is UTC."""
        wanted = datetime(2025, 9, 6, 18, 40, 41, 775_000, UTC)
        for text in (
            "2025-09-06T18:40:41.775Z",
            "2025-09-06 18:40:41.775",
            "2025-09-06T18:40:41,775 UTC",
            "2025-09-06T20:40:41.775+02:00",
            "2025-09-06T20:40:41.775+0200",
            " 2025-09-06T18:40:41.775000000z ",
        ):
            point, relayed = self.one({**A_POINT, "meta_time": text})
            self.assertEqual(point.meta_time, wanted, text)
            self.assertEqual(datetime.fromisoformat(relayed["meta_time"]), wanted, text)

    def test_any_age(self) -> None:
        """A point's age never refuses it, and its time stays exact."""
        for text in ("0001-01-01T00:00:00", "1969-12-31T23:59:59.999", "9999-12-31T23:59:59.775"):
            _, relayed = self.one({**A_POINT, "meta_time": text})
            self.assertEqual(datetime.fromisoformat(relayed["meta_time"]), datetime.fromisoformat(text + "Z"))

    def test_twins(self) -> None:
        """Two equal points are two points."""
        raw = encode(A_POINT)
        self.assertEqual(decode_datagrams(PointDecoder(), [raw, raw], RECEIVED_AT).raws, [raw, raw])

    def test_limits(self) -> None:
        """The ends of each channel's range belong to it."""
        for channel in CHANNELS.values():
            for value in (channel.low, channel.high):
                _, relayed = self.one({**A_POINT, channel.name: value})
                self.assertEqual(relayed[channel.name], value)

    def test_padding(self) -> None:
        """Blanks are not kept where they would fill the memory."""
        decoded = decode(encode(A_POINT)[:-1] + b" " * 60_000 + b"}")
        self.assertLess(len(decoded.raws[0]), 200)

    def test_byte_order_mark(self) -> None:
        """A byte order mark before the JSON does no harm."""
        self.assertEqual(self.one(b"\xef\xbb\xbf" + encode(A_POINT))[1], A_POINT)


class VendorTests(SynchronousTestCase):
    """A vendor's own fields are kept."""

    def test_kept(self) -> None:
        """Scalars of any kind under names of any kind arrive unchanged, the first time and the tenth."""
        own = {"seq": 2**70, "température": "zwölf", 'a "b"\\c': True, "vendor_0": None}
        decoder = PointDecoder()
        for _ in range(10):
            (raw,) = decode({**A_POINT, **own}, decoder).raws
            self.assertEqual(read_strictly(raw), {**A_POINT, **own})

    def test_learnt(self) -> None:
        """A name that came a few times makes no difference to what is refused: nesting, bad bytes, huge numbers."""
        decoder = PointDecoder()
        for _ in range(10):
            decode({**A_POINT, "v": 1}, decoder)
        for value in (
            b"{}",
            b"[1]",
            b"1" + b"0" * 400,
            b"1e999",
            b"NaN",
            b'"\xff"',
            b'"\x01"',
            b'"' + b"x" * 5000 + b'"',
        ):
            decoded = decode(HEAD + b'"v":' + value + b"}", decoder)
            self.assertEqual((decoded.raws, len(decoded.refused)), ([], 1), value)

    def test_bounded(self) -> None:
        """Ever new names cost no memory, and hinder neither known points nor further names."""
        decoder = PointDecoder()
        names = [f"once_{n}" for n in range(1000)]
        names += [f"thrice_{n}" for n in range(MAX_VENDOR_NAMES * MAX_VARIANTS) for _ in range(3)]
        for name in names:
            self.assertEqual(len(decode({**A_POINT, name: 1}, decoder).raws), 1)
        self.assertLessEqual(len(decoder._learnt), MAX_VENDOR_NAMES)
        self.assertLessEqual(len(decoder._candidates), 256)
        self.assertEqual(decode(A_POINT, decoder).raws, [encode(A_POINT)])

    def test_many_fields(self) -> None:
        """A point with every channel and as many vendor's fields as can be learnt passes, known or not."""
        decoder = PointDecoder()
        everything = {**A_POINT, **dict.fromkeys(CHANNELS, 1), **{f"v{n}": n for n in range(MAX_VENDOR_NAMES)}}
        for _ in range(5):
            (raw,) = decode(everything, decoder).raws
            self.assertEqual(read_strictly(raw), everything)


class RefusedTests(SynchronousTestCase):
    """What is no point is refused, with the field and the reason."""

    def assert_refused(self, raw: Fields | bytes, reason: str, field: str | None = None) -> None:
        """One refusal, no point, and good points beside it are not touched."""
        datagram = raw if isinstance(raw, bytes) else json.dumps(raw, ensure_ascii=False).encode()
        good = encode(A_POINT)
        decoded = decode_datagrams(PointDecoder(), [good, datagram, good], RECEIVED_AT)
        self.assertEqual(decoded.raws, [good, good], datagram[:80])
        errors = [(refusal.error.reason, refusal.error.field) for refusal in decoded.refused]
        self.assertEqual(errors, [(reason, field)], datagram[:80])

    def test_not_json(self) -> None:
        """Broken JSON is refused."""
        for raw in (
            b"{",
            HEAD,
            HEAD + b'"rpm":1',
            HEAD + b'"rpm":}',
            HEAD + b'"rpm":1,}',
            HEAD + b'"rpm":01}',
            HEAD + b'"rpm":.5}',
            HEAD + b'"rpm":+5}',
            HEAD + b'"rpm":0x5}',
            HEAD + b'"rpm":1} ,',
            HEAD + b"rpm:1}",
            HEAD + b"'rpm':1}",
            HEAD + b'"rpm":1}/**/',
            HEAD + b'"v":"\x01"}',
            HEAD + b'"v":"\t"}',
            HEAD + b'"v":"\\x"}',
            HEAD + b'"v":"\\ud800"}',
            HEAD + b'"v":tru}',
            HEAD + b'"v":"}',
            b"\x00",
            b"hello",
            b'"text"',
            b"null",
            b"12",
        ):
            self.assert_refused(raw, "not_json")

    def test_two_halves(self) -> None:
        """Two broken datagrams never make a good one."""
        raw = encode(A_POINT)
        decoded = decode_datagrams(PointDecoder(), [raw[:50], raw[50:]], RECEIVED_AT)
        self.assertEqual((decoded.points, len(decoded.refused)), ([], 2))

    def test_wrong_whole(self) -> None:
        """Nothing, other JSON than an object, bytes that are not UTF-8, and endless nesting are refused."""
        self.assert_refused(b"", "empty")
        self.assert_refused(b" \r\n", "empty")
        self.assert_refused(b"[]", "empty")
        self.assert_refused(b"[[]]", "not_an_object")
        self.assert_refused(b"[1]", "not_an_object")
        self.assert_refused(HEAD + b'"v":"\xff"}', "not_utf8")
        self.assert_refused(HEAD + b'"v":"\xed\xa0\x80"}', "not_utf8")
        # Its bytes hold the word NaN, at which the decoder has a second look.
        self.assert_refused(json.dumps({**A_POINT, "v": "慎乎"}, ensure_ascii=False).encode("utf-16-le"), "not_json")
        self.assert_refused(b"[" * 50_000, "too_deep")
        self.assert_refused(HEAD + b'"v":' + b'{"v":' * 50_000, "too_deep")

    def test_missing(self) -> None:
        """Without its track or its car it is no point."""
        self.assert_refused({"chassis": "b"}, "missing_field", "track")
        self.assert_refused({"track": "a", "chassis": ""}, "missing_field", "chassis")
        self.assert_refused({"track": None, "chassis": "b"}, "missing_field", "track")

    def test_numbers(self) -> None:
        """A number that is none, or outside its range, is refused by the name it was sent under."""
        for channel in CHANNELS.values():
            for name in (channel.name, *channel.aliases):
                self.assert_refused({**HEADED, name: channel.high + 1}, "out_of_range", name)
                self.assert_refused({**HEADED, name: str(channel.low - 1)}, "out_of_range", name)
                self.assert_refused({**HEADED, name: True}, "wrong_type", name)
                self.assert_refused({**HEADED, name: "fast"}, "wrong_type", name)
                self.assert_refused({**HEADED, name: [1]}, "nested_value", name)
        self.assert_refused({**HEADED, "lap": 1.5}, "wrong_type", "lap")
        for word in ("nan", "inf", "1_000", "0x10", "", "１２", "1e99999"):
            self.assert_refused({**HEADED, "rpm": word}, "wrong_type", "rpm")

    def test_not_finite(self) -> None:
        """NaN, Infinity and numbers beyond any float are refused with the field named, a vendor's too."""
        for name in ("rpm", "v"):
            for value in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"1" + b"0" * 400):
                self.assert_refused(HEAD + b'"%b":%b}' % (name.encode(), value), "out_of_range", name)

    def test_texts(self) -> None:
        """Texts that are too long, hold control characters, or are none are refused."""
        for name in ("track", "vehicle", "raw_source"):
            longest = MAX_TEXT if name == "raw_source" else MAX_NAME
            fields = {key: value for key, value in HEADED.items() if key != ALIASES.get(name, name)}
            self.assert_refused({**fields, name: "x" * (longest + 1)}, "too_long", name)
            self.assert_refused({**fields, name: 12}, "wrong_type", name)
            self.assert_refused({**fields, name: {"a": 1}}, "nested_value", name)
            for code in (0x00, 0x1F, 0x7F, 0x85):
                escaped = encode({**fields, name: "a" + chr(code)})
                self.assert_refused(escaped, "bad_text", name)
        self.assert_refused({**HEADED, "v": "x" * (MAX_TEXT + 1)}, "too_long", "v")
        self.assert_refused(HEAD + b'"v":"\x7f"}', "bad_text", "v")

    def test_names(self) -> None:
        """Names that are empty, too long, or dangerous in a browser are refused."""
        for name in ("", "x" * (MAX_NAME + 1), "a\x00b", "a\x7f", "__proto__", "constructor"):
            self.assert_refused(encode({**HEADED, name: 1}), "bad_name", name[:MAX_NAME])
        self.assert_refused(encode({**HEADED, "x" * 60_000: [1]}), "bad_name", "x" * MAX_NAME)

    def test_surrogate_name(self) -> None:
        """A name that can't be written is refused, and the answer that says so can be."""
        self.assert_refused(HEAD + b'"\\ud800":1,"rpm":NaN}', "bad_name", "\\ud800")

    def test_times(self) -> None:
        """What is no moment is refused."""
        for value in ("", "yesterday", "2025-13-01T00:00:00Z", "2025-09-06", "2025-09-06T25:00:00Z", 1757184041, [1]):
            self.assert_refused({**HEADED, "meta_time": value}, "bad_time", "meta_time")

    def test_too_much(self) -> None:
        """More fields than a point may have, and more text than a point may be long, are refused."""
        self.assert_refused({**HEADED, **{f"v{n}": n for n in range(MAX_FIELDS)}}, "too_many_fields")
        decoder = PointDecoder()
        most = {**HEADED, **{f"v{n}": n for n in range(MAX_FIELDS - len(HEADED))}}
        for _ in range(5):  # the same before and after it has learnt the vendor's names
            self.assertEqual(len(decode(most, decoder).points), 1)
            (refusal,) = decode({**most, "rpm": 1}, decoder).refused
            self.assertEqual(refusal.error.reason, "too_many_fields")
        self.assert_refused({**HEADED, **{f"v{n}": "x" * 4000 for n in range(MAX_POINT // 4000 + 1)}}, "too_long")

    def test_let_go(self) -> None:
        """A refusal holds nothing of the batch it was in: noise must not pile up until the next collection."""
        (refusal,) = decode(b"[1]").refused
        self.assertIsNone(refusal.error.__traceback__)
        self.assertIsNone(refusal.error.__context__)

    def test_reasons_told(self) -> None:
        """The names an error carries are safe to print, wherever they come from."""
        (refusal,) = decode({**HEADED, "rtl\u202e": [1]}).refused
        self.assertEqual(refusal.error.message, "rtl\\u202e is an object or a list, wanted a scalar")
        self.assertEqual(refusal.error.field, "rtl\u202e")


class ArrayTests(SynchronousTestCase):
    """An array of points."""

    def array(self, *elements: bytes) -> Decoded:
        """What becomes of an array, written with a line for each element."""
        return PointDecoder().array(b"[" + b" ,\n".join(elements) + b"]", RECEIVED_AT)

    def test_good(self) -> None:
        """Good points are all taken, in order, as they came."""
        raws = [encode({**A_POINT, "lap": lap}) for lap in range(5)]
        decoded = self.array(*raws)
        self.assertEqual(decoded.raws, raws)
        self.assertEqual([point.lap for point in decoded.points], [0, 1, 2, 3, 4])

    def test_untimed(self) -> None:
        """One that lacks its time gets it, the others stay as they are."""
        decoded = self.array(encode(A_POINT), encode(HEADED))
        self.assertEqual(decoded.raws[0], encode(A_POINT))
        self.assertEqual(read_strictly(decoded.raws[1]), {"meta_time": "2025-09-06T18:41:40.062Z", **HEADED})

    def test_bad_rows(self) -> None:
        """A bad row never costs the good ones, and is named by its place."""
        decoded = self.array(encode(A_POINT), b"7", encode({**A_POINT, "speed": "9"}), b'{"track":1}', encode(A_POINT))
        self.assertEqual(len(decoded.points), 3)
        self.assertEqual(
            [(row, error.reason) for row, error in decoded.refused], [(1, "not_an_object"), (3, "wrong_type")]
        )

    def test_no_array(self) -> None:
        """What is no array, or holds nothing, is refused as a whole."""
        for body, reason in ((b"[", "not_json"), (b"{}", "not_an_object"), (b"[]", "empty"), (b"[1]]", "not_json")):
            error = self.assertRaises(WireError, PointDecoder().array, body, RECEIVED_AT)
            self.assertEqual(error.reason, reason)


class CatalogueTests(SynchronousTestCase):
    """Names mean one thing."""

    def test_aliases(self) -> None:
        """No alias is a channel's own name, and none stands for two."""
        every = [alias for channel in CHANNELS.values() for alias in channel.aliases]
        every += [alias for aliases in TEXT_ALIASES.values() for alias in aliases]
        self.assertEqual(len(every), len(set(every)))
        self.assertEqual(set(every) & {*CHANNELS, *TEXT_ALIASES}, set())
