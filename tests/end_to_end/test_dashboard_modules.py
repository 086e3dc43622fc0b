"""What the dashboard's modules compute without drawing anything, called in a real browser."""

from __future__ import annotations

from tests.end_to_end.modules import ModuleCase

#: Drives a car around the lap that a module has learnt from fixes on a circle of a kilometre.
AROUND = """
async () => {
    const { Outline, metres } = await import("/dashboard/outline.js");
    const outline = new Outline();
    const turn = 2 * Math.PI;
    const fix = (share) => [33.5 + 0.0014 * Math.cos(turn * share), -86.6 + 0.0017 * Math.sin(turn * share)];
    const seen = [];
    for (let step = 0; step < 2000; step += 1) {
        if (step % 500 === 0) seen.push([outline.share, outline.ready]);
        outline.learn(...fix(step / 2000), step / 2000);
    }
    const kept = Outline.from(JSON.parse(JSON.stringify(outline.keep())));
    const off = [0, 0.1, 0.499, 0.9999].map((share) => {
        const [east, north] = metres(outline.origin, ...fix(share));
        return Math.max(...[outline, kept].map((one) => Math.hypot(one.at(share)[0] - east, one.at(share)[1] - north)));
    });
    const nothing = [null, {}, { origin: [1, 2], east: [1], north: [1] }, { origin: ["x", 2] }].map(Outline.from);
    return { seen, ready: outline.ready && kept.ready, off, nothing };
}
"""
#: A car that is told where it is ten times a second, and drawn fifty times.
ALONG = """
async () => {
    const { AlongLap } = await import("/dashboard/motion.js");
    const car = new AlongLap();
    const drawn = [];
    for (let ms = 0; ms <= 3000; ms += 20) {
        if (ms % 100 === 0 && ms <= 2000) car.tell((0.97 + ms * 1e-5) % 1, 1e-5, ms);
        drawn.push(car.draw(ms, true) % 1);
    }
    const still = new AlongLap();
    still.tell(0.2, 1e-5, 0);
    return { drawn, still: [still.draw(0, false), still.draw(90, false)] };
}
"""

#: A car with laps of two layouts of its track, the second of which is in force.
LAYOUTS = """
async () => {
    const { Race } = await import("/dashboard/race.js");
    const race = new Race();
    const lap = (number, layout, ...sectors) => ({
        chassis: "a", track: "home", lap: number, kind: "clean", layout,
        sector_times_s: sectors, mini_times_s: sectors.map((time) => time / 2), lap_time_s: 60,
    });
    race.lapsWanted = race.allLapsWanted = false;
    race.update({ data: [], gaps: [], insights: [], meta: { tracksChanged: ["home"] } });
    const asked = race.allLapsWanted;
    const laps = [lap(1, 0, 20, 40), lap(2, 1, 35, 25), lap(3, 1, 34, 26)];
    race.laps({ tracks: [{ track: "home", layout: 1 }], cars: [], laps }, true);
    const [car] = race.cars.values();
    return [asked, car.bestSectors, car.bestMinis];
}
"""

#: Two cars, one of which has had the best lap of all for long, when the newest lap is better still.
OUTDONE = """
async () => {
    const { Race } = await import("/dashboard/race.js");
    const race = new Race();
    const lap = (chassis, number, best, field_best) => ({
        chassis, track: "home", lap: number, kind: "clean", layout: 0, best, field_best,
        sector_times_s: [20, 40], mini_times_s: [], lap_time_s: 60,
    });
    const tell = (...laps) => race.laps({ tracks: [{ track: "home", layout: 0 }], cars: [], laps });
    tell(lap("a", 1, true, true), lap("a", 2, false, false), lap("b", 1, true, false));
    tell(lap("b", 9, true, true));
    const flags = ({ chassis, laps }) => [...laps.values()].map((one) => [chassis, one.lap, one.best, one.field_best]);
    return [...race.cars.values()].flatMap(flags);
}
"""
#: How long points were on their way, as it is shown at some moments.
DELAYS = """
async () => {
    const { Delays } = await import("/dashboard/delays.js");
    const delays = new Delays();
    const shown = [delays.median(0)];
    delays.add([1000, 1200], 1240, 0);
    shown.push(delays.median(100), delays.median(4900), delays.median(5100));
    delays.add([], 9000, 9000);
    delays.add([NaN, 1000, 99000], 90000, 9000);
    shown.push(delays.median(9000));
    return shown;
}
"""

#: When a car was heard, after points that a lost connection held up, and after others that came meanwhile.
HEARD = """
async () => {
    const { Race } = await import("/dashboard/race.js");
    const race = new Race();
    const about = { chassis: "a", track: "home", silent_s: 20 };
    const seen = [];
    race.telemetry({ data: [about] }, 100000);
    const [car] = race.cars.values();
    race.known([about], 100300, 100200);
    seen.push(car.heardAt);
    race.telemetry({ data: [about] }, 105250);
    race.known([about], 105300, 105200);
    return [...seen, car.heardAt];
}
"""

#: A car that goes on telling something, but neither where it is nor how fast: what lap, what state, what dot is shown.
PARTLY = """
async () => {
    const { Race } = await import("/dashboard/race.js");
    const { TrackMap } = await import("/dashboard/map.js");
    const { stateOf } = await import("/dashboard/carstate.js");
    const race = new Race();
    const section = document.createElement("section");
    document.body.append(section);
    const map = new TrackMap(section, () => {});
    Object.defineProperty(map.chart, "visible", { value: true });
    const track = { track: "home", layout: 0, length_m: 1000, sector_ends_m: [], best_sectors_s: [], best_minis_s: [] };
    race.laps({ tracks: [track], cars: [], laps: [] });
    const about = { track: "home", chassis: "a" };
    const seen = [];
    const tell = (now, more) => {
        const message = { data: [{ ...about, ...more }] };
        race.telemetry(message, now);
        map.tell(race, message, now);
        map.draw(race, "home", [], now + 50, new Set());
        const [car] = race.cars.values();
        seen.push([car.lapUnderWay, stateOf(car, now + 50), map.drawn.map(({ silent }) => silent)]);
    };
    const result = { ...about, lap: 9, lastLap: null };
    race.update({ data: [result], gaps: [], insights: [] });
    tell(10000, { lapdist_m: 500, speed_kmh: 2 });
    race.update({ data: [{ ...result, lastLap: { lap: 7, kind: "clean", time: 60 } }], gaps: [], insights: [] });
    tell(14000, { rpm: 5000 });
    tell(16000, { rpm: 5000 });
    tell(17000, { lapdist_m: 600 });
    return seen;
}
"""


class ModuleTests(ModuleCase):
    """Functions that are given values and give values."""

    def test_figures(self) -> None:
        """Times, gaps and ages are written as on a timing screen; what is not known is a dash."""
        times = self.call("format", "lapTime", [97.754], [59.9996], [28.9], [None], [3661.5])
        self.assertEqual(times, ["1:37.754", "1:00.000", "28.900", "–", "61:01.500"])
        gaps = self.call("format", "gap", [0.683, 0], [75.2, 0], [98.1, 1], [200, 2], [None, None], [-0.001, 0])
        self.assertEqual(gaps, ["+0.683", "+1:15.200", "+1 lap", "+2 laps", "–", "+0.000"])
        self.assertEqual(self.call("format", "signed", [-0.0131, 3], [0.01, 1], [None, 2]), ["−0.013", "0.0", "–"])
        ages = self.call("format", "age", [0.4], [7.9], [125], [7300], [None])
        self.assertEqual(ages, ["<1 s", "7 s", "2 min", "2 h", "–"])
        names = self.call(
            *("format", "shortName"),
            *(["GR86-004-78", ["GR86-004-78", "GR86-002-2"]], ["GR86-004-78", ["GR86-004-78", "GR86-002-78"]]),
        )
        self.assertEqual(names, ["78", "6-004-78"])

    def test_judgements(self) -> None:
        """Bests, tires, states and what is dropped are told as the documents say."""
        marks = self.call("bests", "mark", [28.5, 28.6, 28.5], [28.6, 28.6, 28.5], [28.7, 28.6, 28.5], [28, None, None])
        self.assertEqual(marks, ["field", "own", "", ""])
        best = self.call("bests", "fieldBests", [[28.5, 44.0, None], [[28.4, None, 30.0], [28.9, 45.0, 29.0]]])
        self.assertEqual(best, [[28.4, 44.0, None]])
        losses = [
            [{"predicted_loss_per_lap_seconds": loss, "lossInterval": [low, 0.5]}]
            for loss, low in ((0.3, 0.1), (0.16, 0.1), (0.09, 0.01), (0.05, 0.01), (0.3, -0.1), (0.03, 0.01))
        ]
        levels = self.call("tires", "lossLevel", *losses, [None])
        self.assertEqual(levels, ["critical", "high", "medium", "low", "", "", ""])
        states = self.call(
            *("carstate", "carState"),
            *([0.1, 140, False], [0.1, 2, False], [0.1, 0, True], [0.1, 120, None], [5.1, 140, True]),
        )
        self.assertEqual(states, ["running", "stopped", "pit", "running", "silent"])
        dropped = self.call("trust", "drops", [{"refused": {"udp": {"not_json": 2}, "http": {}}, "udpKernelDrops": 1}])
        self.assertEqual(dropped, [[["udp", "not_json", 2], ["udp", "no room in the kernel", 1]]])
        chosen = self.call("selection", "choose", [[], "a"], [["a"], "b"], [["a", "b"], "c"], [["a", "b"], "a"])
        self.assertEqual(chosen, [["a"], ["a", "b"], ["a", "c"], ["b"]])
        kept = self.call("settings", "parse", [None], ["{"], ['{"theme":"pink","units":"mph","track":7}'])
        self.assertEqual([each["units"] for each in kept], ["km/h", "km/h", "mph"])
        self.assertEqual({(each["theme"], each["track"]) for each in kept}, {("system", None)})

    def test_outline(self) -> None:
        """A lap of positions gives the outline, kept ones included; half of one, or nonsense, gives none."""
        found = self.page.evaluate(AROUND)
        self.assertEqual(found["seen"], [[0, False], [0.25, False], [0.5, False], [0.75, False]])
        self.assertTrue(found["ready"])
        self.assertLess(max(found["off"]), 3.0)
        self.assertEqual(found["nothing"], [None] * 4)

    def test_motion(self) -> None:
        """A car moves between its messages, over the line too, never backwards, and stops when they do."""
        found = self.page.evaluate(ALONG)
        steps = [
            (after - before + 0.5) % 1 - 0.5 for before, after in zip(found["drawn"], found["drawn"][1:], strict=False)
        ]
        self.assertGreaterEqual(min(steps), 0)
        self.assertLess(max(steps), 5e-4)
        self.assertGreater(min(steps[5:90]), 0)
        self.assertLess(max(steps[-10:]), 4e-5)
        self.assertLess(abs(found["drawn"][100] - 0.99), 0.003)
        self.assertEqual(found["still"], [0.2, 0.2])

    def test_layouts(self) -> None:
        """When the track file was read again, all laps are asked for, and bests are those of the layout in force."""
        asked, sectors, minis = self.page.evaluate(LAYOUTS)
        self.assertEqual((asked, sectors, minis), (True, [34, 25], [17, 12.5]))

    def test_outdone(self) -> None:
        """A lap that was the best until a newer one was better is not the best any more, however old it is."""
        found = self.page.evaluate(OUTDONE)
        wanted = [["a", 1, True, False], ["a", 2, False, False], ["b", 1, False, False], ["b", 9, True, True]]
        self.assertEqual(found, wanted)

    def test_delay(self) -> None:
        """The delay is that of now: nothing where nothing comes, nor where times are of the past or to come."""
        self.assertEqual(self.page.evaluate(DELAYS), [None, 40, 40, None, None])

    def test_unclean_sectors(self) -> None:
        """Sectors of a lap that was not clean are no bests; those of the lap under way after it may be."""
        ended = {"kind": "estimated", "sector_times_s": [20.0, 40.0, None]}
        result = {"lastLap": {"kind": "estimated"}}
        found = self.call(
            *("bests", "judgeable"),
            *([[20.0, 40.0, None], result, ended], [[19.5, 40.0, None], result, ended], [[20.0, 40.0], result, None]),
            *([[20.0, 40.0], {"lastLap": {"kind": "clean"}}, None], [[20.0], None, None]),
        )
        self.assertEqual(found, [[None] * 3, [19.5, None, None], [None, None], [20.0, 40.0], [20.0]])

    def test_heard(self) -> None:
        """A car whose last points came late was heard when the server heard it, unless it has sent since."""
        self.assertEqual(self.page.evaluate(HEARD), [80300, 105250])

    def test_kinds(self) -> None:
        """Where laps of two cars stand beside each other, each that is not clean says so."""
        laps = [{"lap_time_s": 97.754, "kind": kind} for kind in ("clean", "estimated")]
        found = self.call("detail", "lapText", [laps[0], True], [laps[1], True], [laps[1], False], [None, True])
        self.assertEqual(found, ["1:37.754", "1:37.754 estimated", "1:37.754", "–"])

    def test_partly(self) -> None:
        """A place or a speed that has not come for long is not one of now; the lap is counted as in the tables."""
        found = self.page.evaluate(PARTLY)
        self.assertEqual([lap for lap, *_ in found], [9, 8, 8, 8])
        self.assertEqual([state for _, state, _ in found], ["stopped", "stopped", "running", "running"])
        self.assertEqual([dots for *_, dots in found], [[False], [False], [True], [False]])

    def test_mini_laps(self) -> None:
        """Whose mini-sectors are of a lap that was not clean, that is said, of two cars too."""
        cars = [
            {"chassis": name, "bestMinis": [], "miniLap": {"lap": 3, "kind": kind, "times": [3.9, seconds]}}
            for name, kind, seconds in (("a", "clean", 4.0), ("b", "estimated", 3.8))
        ]
        two, one = self.call("minis", "parts", [cars, None], [cars[1:], None])
        said = [["A", "a (lap 3) quicker in 0"], ["B", "b (lap 3, estimated) quicker in 1"]]
        self.assertEqual(two["legend"], said)
        self.assertIn("b, lap 3, estimated, 2 parts", one["words"])
