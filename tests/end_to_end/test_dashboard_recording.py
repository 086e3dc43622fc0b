"""What the dashboard keeps of laps and makes lines of, without drawing anything, called in a real browser."""

from __future__ import annotations

from typing import Any

from tests.end_to_end.modules import ModuleCase

#: What is kept of a car after points, each with the ranges that came with it; beside it a table of laps.
RECORD = """
async ([points, laps, length]) => {
    const { Recording, bestOf, entryOf } = await import("/dashboard/recorder.js");
    const recording = new Recording();
    const car = { laps: new Map(laps.map((lap) => [lap.lap, lap])) };
    for (const [point, ranges] of points) {
        const ended = recording.ended.length;
        recording.take(point, ranges ?? {}, length);
        if (recording.ended.length > ended) recording.trim(bestOf(recording, car).trace);
    }
    const told = (trace) => trace && {
        began: trace.began, entire: trace.entire, seconds: trace.seconds, sent: trace.sent, count: trace.count,
        times: [...trace.times], distances: [...trace.distances], speeds: [...(trace.values("speed_kmh") ?? [])],
        entry: entryOf(trace, car)?.lap ?? null,
    };
    const best = bestOf(recording, car);
    return {
        current: told(recording.current), ended: recording.ended.map(told),
        best: best.entry?.lap ?? null, told: best.told?.lap ?? null,
    };
}
"""
#: Feeds a recorder with a race of many cars, and tells what is kept of it.
MANY = """
async () => {
    const { Recorder } = await import("/dashboard/recorder.js");
    const { idOf } = await import("/dashboard/race.js");
    const recorder = new Recorder();
    const names = ["one", "two", "three"];
    const of = (chassis) => ({ track: "barber", chassis });
    const race = { tracks: new Map([["barber", { length_m: 1000 }]]), cars: new Map() };
    for (const name of names) race.cars.set(idOf(of(name)), { laps: new Map() });
    const tell = (second) => recorder.telemetry({ data: names.map((name) => ({
        ...of(name), meta_time: new Date(1e12 + second * 1000).toISOString(), lapdist_m: (second * 40) % 1000,
    })) }, race);
    for (let second = 0; second < 600; second += 1) tell(second);
    const kept = names.map((name) => recorder.of(idOf(of(name))).ended.length);
    race.cars.delete(idOf(of("two")));
    names.splice(1, 1);
    tell(600);
    const gone = recorder.of(idOf(of("two")));
    recorder.clear();
    return [kept, gone, recorder.of(idOf(of("one")))];
}
"""
#: Feeds one recorder with messages as they come, and another one with a hole that is filled later.
FILL = """
async (points) => {
    const { Recorder } = await import("/dashboard/recorder.js");
    const { idOf } = await import("/dashboard/race.js");
    const about = { track: "barber", chassis: "one" };
    const race = { tracks: new Map([["barber", { length_m: 1000 }]]), cars: new Map() };
    race.cars.set(idOf(about), { laps: new Map() });
    const whole = new Recorder();
    const holed = new Recorder();
    const sent = points.map(([point]) => ({ ...about, ...point }));
    sent.forEach((point, index) => {
        if (index === 20) holed.pause();
        whole.telemetry({ data: [point] }, race);
        if (index < 25 || index > 60) holed.telemetry({ data: [point] }, race);
        if (index === 65) holed.resume(sent.slice(5, 64), race);
    });
    const told = (recorder) => {
        const { ended, current } = recorder.of(idOf(about));
        return [...ended, current].map((trace) => [trace.entire, [...trace.times], [...trace.distances]]);
    };
    return [told(whole), told(holed)];
}
"""
#: Feeds a recorder with a car of whose clock the server tells something, and tells how much is kept of each lap.
STOPPED = """
async ([points, state]) => {
    const { Recorder } = await import("/dashboard/recorder.js");
    const { idOf } = await import("/dashboard/race.js");
    const about = { track: "barber", chassis: "one" };
    const car = { laps: new Map(), about: { clock: { state } } };
    const race = { tracks: new Map([["barber", { length_m: 1000 }]]), cars: new Map([[idOf(about), car]]) };
    const recorder = new Recorder();
    for (const point of points) recorder.telemetry({ data: [{ ...about, ...point }] }, race);
    const { ended, current } = recorder.of(idOf(about));
    return [...ended, current].map((trace) => trace.count);
}
"""
#: Draws this lap of a car, whose rpm has not come for long, over its last one; tells the newest figures and the words.
NEWEST = """
async () => {
    const { Trace } = await import("/dashboard/trace.js");
    const { compare, deltaWords } = await import("/dashboard/compare.js");
    const { figures } = await import("/dashboard/cursor.js");
    const lap = (startMs, seconds, until) => {
        const trace = new Trace(startMs, 0, true);
        const valueOf = (at) => (name) => ({ speed_kmh: 100 + at, rpm: at < 5 ? 5000 : NaN })[name] ?? NaN;
        for (let at = 0; at <= until; at += 1) trace.add(at, at * 10, valueOf(at));
        if (seconds) trace.end(seconds);
        return trace;
    };
    const last = lap(1e12, 50, 49);
    const recording = { ended: [last], current: lap(1e12 + 50000, 0, 20) };
    const table = { lap: 1, kind: "estimated", lap_time_s: 50, start: new Date(1e12).toISOString() };
    const car = { id: "a", chassis: "a", laps: new Map([[1, table]]), about: { flipped: ["accx_can"] }, result: null };
    const found = compare([car], () => recording, { lap: "this", against: "last" });
    const seen = { x: "distance", units: "km/h" };
    const said = (key) => figures({ key }, found, seen, null, new Map()).map(({ text }) => text);
    return {
        speed: said("speed_kmh"), rpm: said("rpm"), delta: said("delta"), names: found.drawn.map(({ name }) => name),
        words: deltaWords(found.deltas[0], [car]), notes: found.notes,
    };
}
"""
#: The greatest accelerations of a lap whose points were thinned, of a part of it, and where nothing is known.
GREATEST = """
async (points) => {
    const { Recording } = await import("/dashboard/recorder.js");
    const { greatest } = await import("/dashboard/gg.js");
    const recording = new Recording();
    for (const [point, ranges] of points) recording.take(point, ranges ?? {}, 1000);
    const of = (...range) => greatest({ trace: recording.current }, { x: "distance", range });
    return [of(0, 1000), of(0, 99), of(900, 1000), recording.current.channels];
}
"""
#: What a last lap is called that the table of laps does not have.
LAST = """
async () => {
    const { Trace } = await import("/dashboard/trace.js");
    const { compare } = await import("/dashboard/compare.js");
    const name = (began, sent) => {
        const trace = new Trace(1e12, 0, began);
        trace.sent = sent;
        trace.end(50);
        const car = { id: "a", chassis: "a", laps: new Map(), result: { lap: 8 } };
        const choice = { lap: "last", against: "last" };
        return compare([car], () => ({ ended: [trace], current: null }), choice).drawn[0].name;
    };
    return [name(false, null), name(false, 7), name(true, 7)];
}
"""
TRACK_M = 1000.0


def point(second: float, distance: float | None, lap: int | None = None, **more: Any) -> tuple[dict[str, Any], Any]:
    """A point at a time of day, and no ranges."""
    found: dict[str, Any] = {"meta_time": f"2025-09-06T18:{int(second // 60):02}:{second % 60:06.3f}Z", **more}
    if distance is not None:
        found["lapdist_m"] = distance
    if lap is not None:
        found["lap"] = lap
    return found, None


def drive(laps: int, m_s: float = 40.0, from_m: float = 900.0, each_s: float = 0.5) -> list[tuple[dict[str, Any], Any]]:
    """A car at one speed from a place before the line until half a lap after it has passed the line so often."""
    count = int(((laps - 0.5) * TRACK_M + TRACK_M - from_m) / m_s / each_s)
    covered = [from_m + m_s * each_s * step for step in range(count)]
    return [
        point(each_s * step, metres % TRACK_M, int(metres // TRACK_M), speed_kmh=metres % TRACK_M / 10)
        for step, metres in enumerate(covered)
    ]


class RecordingTests(ModuleCase):
    """The laps of a car as they are kept."""

    def record(self, points: list[Any], laps: Any = (), length: float | None = TRACK_M) -> Any:
        """What is kept of these points."""
        return self.page.evaluate(RECORD, [points, list(laps), length])

    def test_laps(self) -> None:
        """Laps are cut where the line is crossed, which is between two samples; the first was not seen in full."""
        for length, from_m in ((TRACK_M, 900.0), (None, 900.0), (None, 907.0)):
            found = self.record(drive(2, from_m=from_m), length=length)
            first, second = found["ended"]
            third = found["current"]
            self.assertEqual([lap["entire"] for lap in (first, second, third)], [False, True, False])
            self.assertEqual([lap["began"] for lap in (first, second, third)], [False, True, True])
            self.assertApproximates(second["seconds"], 25.0, 0.001)
            self.assertEqual((second["sent"], third["sent"]), (1, 2))
            self.assertEqual((second["count"], second["distances"][7]), (50, 140 + from_m % 20))
            self.assertApproximates(second["times"][7], second["distances"][7] / 40.0, 0.001)

    def test_disorder(self) -> None:
        """Points that come twice or too late change nothing; a lap with a hole is not one in full."""
        good = drive(2)
        wanted = self.record(good)
        twice = [each for one in good for each in (one, one)]
        self.assertEqual(self.record(twice), wanted)
        late = good.copy()
        for index in (15, 30, 60):
            late.insert(index + 5, good[index])
        self.assertEqual(self.record(late), wanted)
        hole = self.record(good[:20] + good[26:])
        self.assertEqual([lap["entire"] for lap in hole["ended"]], [False, False])
        self.assertEqual(hole["ended"][1]["count"], wanted["ended"][1]["count"] - 6)
        over_the_line = self.record(good[:53] + good[60:])
        self.assertEqual([lap["entire"] for lap in over_the_line["ended"]], [False, False])

    def test_clock(self) -> None:
        """A clock that goes back begins anew; the car's own clock is followed where it tells one."""
        found = self.record(drive(2) + drive(2))
        self.assertEqual([lap["began"] for lap in found["ended"]], [False, True, False])
        own = [
            ({**one, "timestamp": one["meta_time"].replace("T18", "T03"), "meta_time": late["meta_time"]}, None)
            for (one, _), (late, _) in zip(drive(2), [point(7.0, None)] * 8 + drive(2), strict=False)
        ]
        self.assertApproximates(self.record(own)["ended"][1]["seconds"], 25.0, 0.001)

    def test_missing(self) -> None:
        """Loggers send lap distance at some instants only: between them it lies in proportion to the time."""
        points = drive(2)
        for index, (one, _) in enumerate(points):
            if index % 3:
                del one["lapdist_m"]
            if index % 2:
                del one["speed_kmh"]
                points[index] = one, {"speed_kmh": [10.0, 77.0]}
        lap = self.record(points)["ended"][1]
        self.assertTrue(lap["entire"])
        steps = [after - before for before, after in zip(lap["distances"], lap["distances"][1:], strict=False)]
        self.assertEqual({round(step, 2) for step in steps[3:-3]}, {20.0})
        self.assertIn(77.0, lap["speeds"])
        without = self.record([point(0.5 * step, None, 1 + step // 40, speed_kmh=90.0) for step in range(100)])
        self.assertEqual([lap["entire"] for lap in without["ended"]], [False, True])
        self.assertApproximates(without["ended"][1]["seconds"], 20.0, 0.001)

    def test_best(self) -> None:
        """Which lap is the best the server tells; it stays as long as others do not, and another stands in for it."""
        table = [
            {"lap": lap + 1, "kind": "clean", "best": lap == 1, "lap_time_s": 25.0 - (lap == 1),
             "start": point(2.5 + 25.0 * lap, None)[0]["meta_time"]}
            for lap in range(9)
        ]  # fmt: skip
        found = self.record(drive(10), table)
        self.assertEqual((found["best"], found["told"]), (2, 2))
        self.assertEqual([lap["entry"] for lap in found["ended"]], [2, 7, 8, 9])
        late = self.record(drive(10)[200:], table)
        self.assertEqual(late["told"], 2)
        self.assertIn(late["best"], (5, 6, 7, 8, 9))
        self.assertEqual(self.record(drive(2))["best"], None)

    def test_part(self) -> None:
        """A lap distance that jumps ahead and back cuts a lap; what is left of it is not taken for that lap."""
        points = drive(3)
        points[60][0]["lapdist_m"] = 990.0
        table = [
            {"lap": lap, "kind": "clean", "best": lap == 2, "lap_time_s": 25.0,
             "start": point(2.5 + 25.0 * (lap - 1), None)[0]["meta_time"]}
            for lap in (1, 2)
        ]  # fmt: skip
        found = self.record(points, table)
        self.assertNotIn(2, [lap["entry"] for lap in found["ended"] if lap["seconds"] < 24])
        self.assertEqual(found["told"], 2)

    def test_signs(self) -> None:
        """Of what was between two points the value is the greatest either way: braking is not told as driving."""
        points = [
            (point(0.1 * step, 4.0 * step)[0], {"speed_kmh": [-1.25, 0.25] if step % 2 else [-0.25, 1.25]})
            for step in range(4)
        ]
        self.assertEqual(self.record(points)["current"]["speeds"], [1.25, -1.25, 1.25, -1.25])

    def test_stopped(self) -> None:
        """While a car's own clock stands still, as the server tells, its laps are kept by meta_time."""
        points = [{**one, "timestamp": "2025-09-05T00:00:00.000Z"} for one, _ in drive(2)]
        self.assertEqual(self.page.evaluate(STOPPED, [points, "stopped"]), [5, 50, 25])
        self.assertEqual(self.page.evaluate(STOPPED, [points, "running"]), [1])

    def test_bounded(self) -> None:
        """Of each car a few laps are kept; cars that are gone are forgotten, and all of them after a restart."""
        self.assertEqual(self.page.evaluate(MANY), [[4, 4, 4], None, None])

    def test_filled(self) -> None:
        """What could not be sent while the page stood still is taken from elsewhere, before what came after it."""
        whole, filled = self.page.evaluate(FILL, drive(2))
        self.assertEqual(filled, whole)
        self.assertEqual(len(whole), 3)


class WordsTests(ModuleCase):
    """What is said of the laps that are drawn."""

    def test_newest(self) -> None:
        """Figures without a cursor are of one place and not old; what is estimated, even or turned round says so."""
        found = self.page.evaluate(NEWEST)
        self.assertEqual(found["speed"], ["A 120.0", "A last 120.0"])
        self.assertEqual(found["rpm"], ["A –", "A last –"])
        against = "lap 1 (last, 50.000, estimated)"
        self.assertEqual(found["names"], ["lap 2 (this)", against])
        self.assertEqual(found["delta"], [f"A 0.000 even with {against}"])
        self.assertEqual(found["words"], f"a is even with {against} at 200 m")
        self.assertEqual(found["notes"], ["A sends longitudinal g with the wrong sign; it is drawn as sent."])

    def test_last(self) -> None:
        """A last lap that the table does not have bears no number of the lap under way, nor a time that is a guess."""
        self.assertEqual(self.page.evaluate(LAST), ["lap ? (last)", "lap 7 (last)", "lap 7 (last, 50.000)"])

    def test_greatest(self) -> None:
        """The greatest g is that of all points, not of those alone that come after thinning; none is not zero."""
        peak = {"accx_can": [-1.1, 0.3], "accy_can": [-0.9, 0.7]}
        points = [
            (point(step, 40.0 * step, accx_can=0.3, accy_can=0.7)[0], peak if step == 5 else None) for step in range(10)
        ]
        whole, part, none, channels = self.page.evaluate(GREATEST, points)
        self.assertEqual(whole, "lateral 0.90 g, braking 1.10 g, driving 0.30 g")
        self.assertEqual(part, "lateral 0.70 g, braking 0.00 g, driving 0.30 g")
        self.assertEqual(none, "lateral – g, braking – g, driving – g")
        self.assertEqual(channels, ["accx_can", "accy_can"])


class CurveTests(ModuleCase):
    """Functions that are given values and give values."""

    def test_values(self) -> None:
        """Between two samples a value lies in proportion; outside of them, and in a hole, there is none."""
        nan = float("nan")
        xs, ys = [0, 10, 20, 40], [1, 2, 4, 0]
        found = self.call("curves", "at", *([xs, ys, x] for x in (0, 5, 10, 17.5, 40, -1, 41)))
        self.assertEqual(found[:5], [1, 1.5, 2, 3.5, 0])
        self.assertTrue(all(value != value for value in found[5:]))
        hole = self.call("curves", "at", [xs, ys, 30, 15], [xs, ys, 40, 15], [[], [], 1])
        self.assertEqual([value == value for value in hole], [False, True, False])
        broken = self.call("curves", "at", *([[0, 1, 1, 5, 6], [3, 4, None, 8, 9], x] for x in (0.5, 3, 5.5)))
        self.assertEqual([value if value == value else None for value in broken], [3.5, None, 8.5])
        (line,) = self.call("curves", "line", [[0, 1, 2, 3, 9], [5, nan, 7, 8, 9], [0, 1, 1.4, 2, 8]])
        self.assertEqual(line, {"x": [0, 2, 3, 3, 9], "y": [5, 7, 8, None, 9]})
        (forwards,) = self.call("trace", "forwards", [[0, 2, 2, 1, nan, 5], [0, 1, 2, 3, 4, 5]])
        self.assertEqual(forwards, {"distances": [0, 2, 5], "times": [0, 1, 5]})

    def test_delta(self) -> None:
        """The delta is the difference in time at the same place: positive is slower, none where the other was not."""
        one = {"distances": [0, 100, 200, 300], "times": [0, 1.1, 2.4, 3.6]}
        other = {"distances": [0, 50, 150, 250], "times": [0, 0.5, 1.5, 2.5]}
        found, same = self.call("curves", "delta", [one, other], [one, one])
        self.assertEqual(found["x"], [0, 100, 200])
        for seconds, wanted in zip(found["y"], [0, 0.1, 0.4], strict=True):
            self.assertAlmostEqual(seconds, wanted)
        self.assertEqual(same["y"], [0, 0, 0, 0])
        hole = {"distances": [0, 50, 250, 300], "times": [0, 0.5, 2.5, 3.0]}
        (found,) = self.call("curves", "delta", [one, hole])
        self.assertEqual((found["x"], found["y"][1]), ([0, 0, 300], None))

    def test_thin(self) -> None:
        """However many points there are, no more are drawn than are seen, and every peak and break is among them."""
        count, parts = 5000, 100
        ys: list[float | None] = [float(index % 7) for index in range(count)]
        ys[1234], ys[2345], ys[3456] = 99.0, -99.0, None
        whole = {"x": list(range(count)), "y": ys}
        thin, zoomed, few = self.call(
            *("curves", "thin"),
            *([whole, 0, count, parts], [whole, 1000, 1099, parts], [{"x": [1, 2], "y": [3, None]}, 0, 9, 1]),
        )
        self.assertLessEqual(len(thin["x"]), 4 * parts + 4)
        self.assertLessEqual({99.0, -99.0, None}, set(thin["y"]))
        self.assertEqual(thin["x"], sorted(thin["x"]))
        self.assertEqual((thin["x"][0], thin["x"][-1]), (0, count - 1))
        self.assertEqual((zoomed["x"][0], zoomed["x"][-1]), (999, 1100))
        self.assertEqual(few, {"x": [1, 2], "y": [3, None]})

    def test_zoom(self) -> None:
        """What is seen stays within the lap, and as wide as was asked for where there is room."""
        found = self.call(
            *("traces", "within"),
            *([[100, 300], [0, 1000]], [[-50, 50], [0, 1000]], [[950, 1250], [0, 1000]], [[-9, 2000], [0, 1000]]),
            [[10, 10], [0, 1000]],
        )
        self.assertEqual(found, [[100, 300], [0, 100], [700, 1000], [0, 1000], [9, 11]])

    def test_choices(self) -> None:
        """What was chosen is as it was when the page is opened anew; nonsense is not taken for a choice."""
        usual = {"lap": "this", "against": "other", "x": "distance"}
        kept, *odd = self.call(
            *("tracetools", "load"),
            *(['{"lap":"last","against":"best","x":"time"}'], ["{"], ["7"], ["null"], ['{"lap":"toString","x":3}']),
        )
        self.assertEqual(kept, {"lap": "last", "against": "best", "x": "time"})
        self.assertEqual(odd, [usual] * 4)
