// @ts-check
/** The track map: learns from the messages where the track is, and has the cars move between them. */

import { SILENT_S, stateOf } from "./carstate.js";
import { Chart } from "./chart.js";
import { fillList, make, setClass, setText } from "./dom.js";
import { still } from "./flip.js";
import { known, shortName } from "./format.js";
import { AlongLap, Anywhere } from "./motion.js";
import { metres, Outline, Strip, Trail } from "./outline.js";
import { parts } from "./minis.js";
import * as kept from "./outlines.js";
import { OFF_M, PitLane, SLOW_KMH, STANDS_KMH } from "./pitlane.js";
import { letter } from "./selection.js";

/** From one drawing to the next at least [ms]; with motion unwanted. */
const FRAME_MS = 30;
const STILL_MS = 500;
/** The track is drawn anew as it is learnt, and in any case [ms]. */
const LEARN_MS = 1000;
const GROUND_MS = 10000;
const STRIP = new Strip();
/** So many cars and tracks are remembered; those known first are forgotten first. */
const MOST_CARS = 512;
const MOST_TRACKS = 16;
/** A car that told its distance so short a time ago goes by that, not by its position alone [ms]. */
const DISTANCE_MS = 3000;
/** Positions between two messages that are so far apart are not taken for one [deg]. */
const ALIKE_DEG = 1e-4;
/** A car is chosen by a click so near to it [px]. */
const NEAR_PX = 18;

/** @typedef {import("./race.js").Car} Car */

export class TrackMap {
  /** @param {HTMLElement} section @param {(id: string) => void} choose */
  constructor(section, choose) {
    this.about = make("span", { class: "about" });
    this.chart = new Chart(() => this.redraw());
    this.legend = make("p", { class: "legend", hidden: true });
    section.append(make("header", {}, make("h2", { text: "Track" }), this.about), this.chart.frame, this.legend);
    const { outlines, lanes } = kept.load();
    this.outlines = outlines;
    this.lanes = lanes;
    /** Places of the pit lane that are not kept yet. */
    this.lanesGrown = 0;
    /** @type {Map<string, Trail>} */
    this.trails = new Map();
    /** @type {Map<string, {along: AlongLap, anywhere: Anywhere, kind: "" | "along" | "anywhere", at: number}>} */
    this.motions = new Map();
    /** @type {import("./chart.js").Dot[]} */
    this.drawn = [];
    /** What the ground shows. @type {string | null} */
    this.track = null;
    this.kind = "";
    this.told = false;
    /** What is drawn on the ground besides, as text. */
    this.marked = "";
    this.drawnAt = this.groundAt = -Infinity;
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.redraw());
    this.chart.top.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      const near = this.drawn
        .map(({ id, x, y }) => ({ id, away: Math.hypot(x - event.offsetX, y - event.offsetY) }))
        .sort((one, other) => one.away - other.away)[0];
      if (near?.away < NEAR_PX) choose(near.id);
    });
  }

  /** Draw the track anew: the colours are others, or the track. */
  redraw() {
    this.groundAt = -Infinity;
  }

  /** Forget where cars were. */
  clear() {
    this.motions.clear();
    this.redraw();
  }

  /**
   * Learn from a message where the cars are.
   * @param {import("./race.js").Race} race that knows the message already @param {any} message @param {number} now [ms]
   */
  tell(race, message, now) {
    message.data.forEach((/** @type {any} */ point, /** @type {number} */ index) => {
      const car = race.car(point);
      // A logger tells distance, speed and position at different moments: then one is only in the ranges.
      const [distance, latitude, longitude] = [
        ["lapdist_m", Infinity],
        ["VBOX_Lat_Min", ALIKE_DEG],
        ["VBOX_Long_Minutes", ALIKE_DEG],
      ].map(([name, most]) => point[name] ?? only(message.ranges?.[index]?.[name], Number(most)));
      const length = race.tracks.get(point.track)?.length_m;
      const motion = this.motions.get(car.id) ?? { along: new AlongLap(), anywhere: new Anywhere(), kind: "", at: now };
      remember(this.motions, car.id, motion, MOST_CARS);
      const placed = known(latitude) && known(longitude);
      if (known(distance) && known(length)) {
        if (placed) this.#learn(car, latitude, longitude, distance / length);
        motion.along.tell(distance / length, (car.channels.get("speed_kmh") ?? 0) / 3600 / length, now);
        [motion.kind, motion.at] = ["along", now];
      } else if (placed && !(now - (car.channelAt.get("lapdist_m") ?? -Infinity) < DISTANCE_MS)) {
        motion.anywhere.tell(this.#trail(point.track).learn(latitude, longitude));
        [motion.kind, motion.at] = ["anywhere", now];
      }
    });
  }

  /** @param {Car} car @param {number} latitude @param {number} longitude @param {number} share */
  #learn(car, latitude, longitude, share) {
    const outline = this.#outline(car.track);
    const speed = car.channels.get("speed_kmh") ?? NaN;
    // Where a car stands says nothing of the track, and off it and slow, as in the pits, nothing right.
    if (!(speed < STANDS_KMH || (speed < SLOW_KMH && outline.off(latitude, longitude) > OFF_M)))
      outline.learn(latitude, longitude, share);
    if (!outline.ready || outline.origin === null) return;
    const lane = this.lanes.get(car.track) ?? new PitLane();
    remember(this.lanes, car.track, lane, MOST_TRACKS);
    const before = lane.places.size;
    lane.learn(car.id, metres(outline.origin, latitude, longitude), speed, outline);
    this.lanesGrown += lane.places.size - before;
  }

  /** @param {string} track */
  #outline(track) {
    const found = this.outlines.get(track) ?? new Outline();
    remember(this.outlines, track, found, MOST_TRACKS);
    return found;
  }

  /** @param {string} track */
  #trail(track) {
    const found = this.trails.get(track) ?? new Trail();
    remember(this.trails, track, found, MOST_TRACKS);
    return found;
  }

  /**
   * Draw, unless it is too soon.
   * @param {import("./race.js").Race} race @param {string | null} track @param {string[]} selected @param {number} now
   * @param {Set<string>} hidden cars
   */
  draw(race, track, selected, now, hidden) {
    const smooth = !still();
    if (now - this.drawnAt < (smooth ? FRAME_MS : STILL_MS) || !this.chart.visible || track === null) return;
    this.drawnAt = now;
    const shape = this.#shape(track, race.tracks.get(track));
    const chosen = selected.map((id) => race.cars.get(id)).filter((car) => car !== undefined);
    const minis = parts(chosen, race.tracks.get(track));
    const pits = shape.kind === "outline" ? (this.lanes.get(track)?.lines ?? []) : [];
    const marked = [minis.parts, minis.words, pits.length, pits.flat().length].join();
    const old = now - this.groundAt > (shape.kind === "trail" ? LEARN_MS : GROUND_MS);
    const told = race.tracks.has(track);
    if (old || track !== this.track || told !== this.told || shape.kind !== this.kind || marked !== this.marked) {
      if (shape.kind === "outline" && (shape.kind !== this.kind || this.lanesGrown > 0)) {
        kept.save(this.outlines, this.lanes);
        this.lanesGrown = 0;
      }
      this.marked = marked;
      this.track = track;
      this.told = told;
      this.kind = shape.kind;
      this.groundAt = now;
      this.chart.drawTrack(shape, race.tracks.get(track), { parts: minis.parts, pits });
      this.#explain(minis);
    }
    setText(this.about, shape.said);
    const cars = race.order(track).filter((car) => !hidden.has(car.id));
    this.drawn = this.#dots(cars, shape, selected, now, smooth);
    this.chart.drawCars(this.drawn);
  }

  /** What the marks of the parts mean. @param {{legend: [string, string][], words: string}} minis */
  #explain({ legend, words }) {
    this.legend.hidden = words === "";
    fillList(
      this.legend,
      [...legend, ["", words]],
      () => make("span"),
      (key, [name, text]) => {
        setClass(key, name && `part-${name}`);
        setText(key, text);
      },
    );
  }

  /**
   * The best that is known of a track: its outline, or dots, or a strip.
   * @param {string} track @param {any} about
   * @returns {import("./chart.js").Shape & {kind: string, said: string, length?: number}}
   */
  #shape(track, about) {
    const [outline, trail] = [this.outlines.get(track), this.trails.get(track)];
    const shape = { dots: [], line: null, length: about?.length_m };
    if (outline?.ready) return { ...shape, kind: "outline", at: (share) => outline.at(share), said: "from GPS" };
    if (outline === undefined && trail?.origin) {
      const line = about?.finish_line ? metres(trail.origin, about.finish_line[0], about.finish_line[1]) : null;
      return { kind: "trail", at: null, dots: trail.dots, line, said: "positions from GPS" };
    }
    const said =
      outline === undefined ? "by lap distance" : `learning the outline, ${Math.floor(outline.share * 100)} %`;
    return { ...shape, kind: "strip", at: STRIP.at, said };
  }

  /**
   * The cars as they are to be drawn, the most wanted last.
   * @param {Car[]} cars @param {any} shape @param {string[]} selected @param {number} now @param {boolean} smooth
   */
  #dots(cars, shape, selected, now, smooth) {
    const names = cars.map((car) => car.chassis);
    const dots = [];
    for (const car of [...cars].reverse()) {
      const place = this.#place(car, shape, now, smooth);
      if (place === null) continue;
      const [x, y] = this.chart.fit(place);
      const [chosen, position] = [letter(selected, car.id), car.gap?.position];
      const rank = chosen ? 2 : position === 1 ? 1 : 0;
      const text = [chosen, rank && position ? `P${position}` : "", shortName(car.chassis, names)]
        .filter(Boolean)
        .join(" ");
      dots.push({ id: car.id, x, y, rank, chosen, silent: stateOf(car, now) === "silent" || this.#lost(car, now), text });
    }
    return dots.sort((one, other) => one.rank - other.rank);
  }

  /** Whether nobody has told for long where a car is. @param {Car} car @param {number} now */
  #lost(car, now) {
    return now - (this.motions.get(car.id)?.at ?? now) >= SILENT_S * 1000;
  }

  /**
   * Where a car is, in the track's own metres; null where nobody knows.
   * @param {Car} car @param {any} shape @param {number} now @param {boolean} smooth @returns {number[] | null}
   */
  #place(car, shape, now, smooth) {
    const motion = this.motions.get(car.id);
    if (motion === undefined || motion.kind === "") {
      // It told its distance before the length of the lap was known, and has been silent since.
      const share = car.channels.get("lapdist_m") / shape.length;
      return shape.at === null || Number.isNaN(share) ? null : shape.at(share);
    }
    if (motion.kind === "along") {
      if (shape.at === null) return null;
      const share = motion.along.draw(now, smooth);
      return Number.isNaN(share) ? null : shape.at(share);
    }
    const place = motion.anywhere.draw(now, smooth);
    if (shape.kind === "trail") return place;
    const [trail, outline] = [this.trails.get(car.track), this.outlines.get(car.track)];
    if (shape.kind !== "outline" || !trail?.origin || !outline?.origin) return null;
    const moved = metres(outline.origin, trail.origin[0], trail.origin[1]);
    return [place[0] + moved[0], place[1] + moved[1]];
  }
}

/**
 * The greatest of what the points between two messages told; nothing where they were too far apart to be one.
 * @param {number[] | undefined} range @param {number} most
 */
function only(range, most) {
  return range !== undefined && range[1] - range[0] <= most ? range[1] : undefined;
}

/** @param {Map<string, any>} map @param {string} name @param {any} value @param {number} most */
function remember(map, name, value, most) {
  map.set(name, value);
  if (map.size > most) map.delete(map.keys().next().value ?? "");
}
