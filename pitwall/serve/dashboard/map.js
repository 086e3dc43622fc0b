// @ts-check
/** The track map: one canvas for the track, redrawn when it changes, and one for the cars, which move. */

import { stateOf } from "./carstate.js";
import { make, setText } from "./dom.js";
import { still } from "./flip.js";
import { known, shortName } from "./format.js";
import { AlongLap, Anywhere } from "./motion.js";
import { metres, Outline, Strip, Trail } from "./outline.js";
import * as outlines from "./outlines.js";
import { letter } from "./selection.js";

/** From one drawing to the next at least [ms]; with motion unwanted. */
const FRAME_MS = 30;
const STILL_MS = 500;
/** The track is drawn anew as it is learnt [ms]. */
const LEARN_MS = 1000;
const STRIP = new Strip();
/** A car is chosen by a click so near to it [px]. */
const NEAR_PX = 18;

/** @typedef {import("./race.js").Car} Car */

export class TrackMap {
  /** @param {HTMLElement} section @param {(id: string) => void} choose */
  constructor(section, choose) {
    this.about = make("span", { class: "about" });
    this.ground = make("canvas", { "aria-hidden": "true" });
    this.top = make("canvas", { role: "img", "aria-label": "Cars on the track; the timing tower has the same in figures" });
    this.frame = make("div", { class: "canvases" }, this.ground, this.top);
    section.append(make("header", {}, make("h2", { text: "Track" }), this.about), this.frame);
    /** @type {Map<string, Outline>} */
    this.outlines = outlines.load();
    /** @type {Map<string, Trail>} */
    this.trails = new Map();
    /** @type {Map<string, {along: AlongLap, anywhere: Anywhere, at: number}>} */
    this.motions = new Map();
    /** @type {{id: string, x: number, y: number}[]} */
    this.drawn = [];
    /** Where words stand on the ground: left, middle, width. @type {number[][]} */
    this.words = [];
    this.drawnAt = this.groundAt = -Infinity;
    this.size = [0, 0];
    new ResizeObserver(() => this.#resize()).observe(this.frame);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.redraw());
    this.top.addEventListener("click", (/** @type {MouseEvent} */ event) => {
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

  #resize() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    this.size = [this.frame.clientWidth, this.frame.clientHeight];
    for (const canvas of [this.ground, this.top]) {
      canvas.width = this.size[0] * scale;
      canvas.height = this.size[1] * scale;
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    }
    this.redraw();
  }

  /** Learn from a message where the cars are. @param {import("./race.js").Race} race @param {any[]} points @param {number} now */
  tell(race, points, now) {
    for (const point of points) {
      const car = race.car(point);
      const { lapdist_m: distance, VBOX_Lat_Min: latitude, VBOX_Long_Minutes: longitude, speed_kmh: kmh } = point;
      const length = race.tracks.get(point.track)?.length_m;
      const motion = this.motions.get(car.id) ?? { along: new AlongLap(), anywhere: new Anywhere(), at: -1 };
      this.motions.set(car.id, motion);
      const placed = known(latitude) && known(longitude);
      if (known(distance) && known(length)) {
        const share = distance / length;
        if (placed) this.#outline(point.track).learn(latitude, longitude, share);
        motion.along.tell(share, known(kmh) ? kmh / 3600 / length : 0, now);
        motion.at = 0;
      } else if (placed) {
        motion.anywhere.tell(this.#trail(point.track).learn(latitude, longitude));
        motion.at = 1;
      }
    }
  }

  /** @param {string} track */
  #outline(track) {
    const found = this.outlines.get(track) ?? new Outline();
    this.outlines.set(track, found);
    return found;
  }

  /** @param {string} track */
  #trail(track) {
    const found = this.trails.get(track) ?? new Trail();
    this.trails.set(track, found);
    return found;
  }

  /** Draw, unless it is too soon. @param {import("./race.js").Race} race @param {string | null} track @param {string[]} selected @param {number} now */
  draw(race, track, selected, now) {
    const smooth = !still();
    if (now - this.drawnAt < (smooth ? FRAME_MS : STILL_MS) || this.size[0] < 40 || this.size[1] < 40 || track === null) return;
    this.drawnAt = now;
    const shape = this.#shape(track);
    if (shape.kind === "outline" && shape.kind !== this.kind) outlines.save(this.outlines);
    if (track !== this.track || shape.kind !== this.kind || now - this.groundAt > (shape.kind === "trail" ? LEARN_MS : 10000)) {
      this.track = track;
      this.kind = shape.kind;
      this.groundAt = now;
      this.fit = fit(shape.extent, this.size);
      this.#ground(shape, race.tracks.get(track));
    }
    setText(this.about, shape.said);
    this.#cars(race.order(track), shape, selected, now, smooth);
  }

  /** The best that is known of a track: its outline, or dots, or a strip. @param {string} track @returns {any} */
  #shape(track) {
    const outline = this.outlines.get(track);
    if (outline?.ready) {
      const extent = Array.from({ length: 120 }, (_, part) => outline.at(part / 120));
      return { kind: "outline", at: (/** @type {number} */ share) => outline.at(share), extent, said: "from GPS" };
    }
    const trail = this.trails.get(track);
    if (trail !== undefined && outline === undefined) {
      return { kind: "trail", at: null, dots: trail.dots, extent: trail.dots, said: "positions from GPS" };
    }
    const extent = Array.from({ length: 120 }, (_, part) => STRIP.at(part / 120));
    const learning = outline === undefined ? "by lap distance" : `learning the outline, ${Math.floor(outline.share * 100)} %`;
    return { kind: "strip", at: (/** @type {number} */ share) => STRIP.at(share), extent, said: learning };
  }

  /** @param {any} shape @param {any} about */
  #ground(shape, about) {
    const canvas = this.ground.getContext("2d");
    const style = getComputedStyle(this.frame);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    this.colours = Object.fromEntries(["text", "muted", "surface", "accent", "compare", "track", "line"].map((name) => [name, colour(name)]));
    this.font = `${Math.max(parseFloat(style.fontSize) * 0.85, 10)}px ${style.fontFamily}`;
    this.unit = parseFloat(style.fontSize) / 14;
    canvas.clearRect(0, 0, ...this.size);
    canvas.font = this.font;
    this.words = [];
    if (shape.at === null) {
      canvas.fillStyle = this.colours.track;
      for (const dot of shape.dots) {
        const [x, y] = this.fit(dot);
        canvas.fillRect(x - 1.5, y - 1.5, 3, 3);
      }
      return;
    }
    canvas.lineJoin = "round";
    canvas.strokeStyle = this.colours.track;
    canvas.lineWidth = 7 * this.unit;
    canvas.beginPath();
    for (let part = 0; part <= 300; part += 1) {
      const [x, y] = this.fit(shape.at(part / 300));
      if (part === 0) canvas.moveTo(x, y);
      else canvas.lineTo(x, y);
    }
    canvas.stroke();
    const length = about?.length_m;
    const ends = known(length) ? about.sector_ends_m.slice(0, -1).map((/** @type {number} */ end) => end / length) : [];
    ends.forEach((/** @type {number} */ share) => this.#tick(canvas, shape, share, 6, this.colours?.muted ?? ""));
    this.#tick(canvas, shape, 0, 9, this.colours.text);
    this.#label(canvas, shape, 0, "Start / finish", this.colours.text);
    [0, ...ends].forEach((start, sector) => {
      if (ends.length) this.#label(canvas, shape, (start + (ends[sector] ?? 1)) / 2, `S${sector + 1}`, this.colours?.muted ?? "");
    });
  }

  /** A place on the lap on the canvas, and the direction across it. @param {any} shape @param {number} share */
  #across(shape, share) {
    const [x, y] = this.fit(shape.at(share));
    const [before, after] = [this.fit(shape.at(share - 0.004)), this.fit(shape.at(share + 0.004))];
    const [dx, dy] = [after[0] - before[0], after[1] - before[1]];
    const length = Math.hypot(dx, dy) || 1;
    return { x, y, across: [-dy / length, dx / length] };
  }

  /** @param {any} canvas @param {any} shape @param {number} share @param {number} half @param {string} colour */
  #tick(canvas, shape, share, half, colour) {
    const { x, y, across } = this.#across(shape, share);
    const reach = half * this.unit;
    canvas.strokeStyle = colour;
    canvas.lineWidth = 2 * this.unit;
    canvas.beginPath();
    canvas.moveTo(x - across[0] * reach, y - across[1] * reach);
    canvas.lineTo(x + across[0] * reach, y + across[1] * reach);
    canvas.stroke();
  }

  /** A word beside the track, on its outer side. @param {any} canvas @param {any} shape @param {number} share @param {string} text @param {string} colour */
  #label(canvas, shape, share, text, colour) {
    const { x, y, across } = this.#across(shape, share);
    const middle = [this.size[0] / 2, this.size[1] / 2];
    const outward = across[0] * (x - middle[0]) + across[1] * (y - middle[1]) < 0 ? -1 : 1;
    const half = canvas.measureText(text).width / 2;
    const away = 14 * this.unit + Math.abs(across[0]) * half;
    canvas.fillStyle = colour;
    canvas.textAlign = "center";
    canvas.textBaseline = "middle";
    const at = Math.min(Math.max(x + outward * across[0] * away, half + 2), this.size[0] - half - 2);
    const line = Math.min(Math.max(y + outward * across[1] * away, 8), this.size[1] - 8);
    canvas.fillText(text, at, line);
    this.words.push([at - half, line, 2 * half]);
  }

  /** @param {Car[]} cars @param {any} shape @param {string[]} selected @param {number} now @param {boolean} smooth */
  #cars(cars, shape, selected, now, smooth) {
    const canvas = this.top.getContext("2d");
    canvas.clearRect(0, 0, ...this.size);
    canvas.font = this.font;
    canvas.textBaseline = "middle";
    this.drawn = [];
    const names = cars.map((car) => car.chassis);
    const labels = [];
    // The first is drawn last, above all others, and those that are selected above it.
    const rank = (/** @type {Car} */ car) => (selected.includes(car.id) ? 2 : car.gap?.position === 1 ? 1 : 0);
    for (const car of [...cars].reverse().sort((one, other) => rank(one) - rank(other))) {
      const place = this.#place(car, shape, now, smooth);
      if (place === null) continue;
      const [x, y] = this.fit(place);
      const chosen = letter(selected, car.id);
      this.drawn.push({ id: car.id, x, y });
      this.#dot(canvas, x, y, chosen, rank(car) > 0, stateOf(car, now) === "silent");
      const position = car.gap?.position;
      labels.push({ x, y, rank: rank(car), text: `${chosen && `${chosen} `}${rank(car) && position ? `P${position} ` : ""}${shortName(car.chassis, names)}` });
    }
    this.#names(canvas, labels.reverse());
  }

  /** Where a car is, in the track's own metres; null where nobody knows. @param {Car} car @param {any} shape @param {number} now @param {boolean} smooth */
  #place(car, shape, now, smooth) {
    const motion = this.motions.get(car.id);
    if (motion === undefined || motion.at < 0) return null;
    if (motion.at === 0) {
      if (shape.at === null) return null;
      const share = motion.along.draw(now, smooth);
      return Number.isNaN(share) ? null : shape.at(share);
    }
    const place = motion.anywhere.draw(now, smooth);
    const [trail, outline] = [this.trails.get(car.track), this.outlines.get(car.track)];
    if (shape.kind === "trail") return place;
    if (shape.kind !== "outline" || !trail?.origin || !outline?.origin) return null;
    const moved = metres(outline.origin, trail.origin[0], trail.origin[1]);
    return [place[0] + moved[0], place[1] + moved[1]];
  }

  /** @param {any} canvas @param {number} x @param {number} y @param {string} chosen @param {boolean} large @param {boolean} silent */
  #dot(canvas, x, y, chosen, large, silent) {
    const colours = this.colours ?? {};
    canvas.beginPath();
    canvas.arc(x, y, (large ? 6.5 : 4.5) * this.unit, 0, 2 * Math.PI);
    canvas.fillStyle = chosen === "A" ? colours.accent : chosen === "B" ? colours.compare : silent ? colours.surface : colours.text;
    canvas.strokeStyle = silent ? colours.muted : colours.surface;
    canvas.lineWidth = 1.5 * this.unit;
    canvas.fill();
    canvas.stroke();
  }

  /** Names beside the cars, as far as there is room; the most wanted first. @param {any} canvas @param {{x: number, y: number, rank: number, text: string}[]} labels */
  #names(canvas, labels) {
    const height = 13 * this.unit;
    const taken = [...this.words];
    canvas.textAlign = "left";
    canvas.lineWidth = 3 * this.unit;
    canvas.strokeStyle = this.colours?.surface;
    for (const { x, y, rank, text } of labels) {
      const width = canvas.measureText(text).width;
      const beside = [[x + 9 * this.unit, y], [x - 9 * this.unit - width, y]];
      // A name that is wanted goes further off rather than over other cars.
      const off = [1, -1, 2, -2].map((lines) => [x - width / 2, y + lines * 18 * this.unit]);
      const places = [...beside, ...(rank ? off : [])].filter(([left]) => left > 1 && left + width < this.size[0] - 1);
      const clear = (/** @type {number[]} */ [left, at]) =>
        !taken.some(([l, t, w]) => left < l + w + 4 && l < left + width + 4 && Math.abs(t - at) < height) &&
        !this.drawn.some((dot) => dot.x > left - 4 && dot.x < left + width + 4 && Math.abs(dot.y - at) < height / 2);
      const place = places.find(clear) ?? (rank ? places[0] : undefined);
      if (place === undefined) continue;
      taken.push([...place, width]);
      canvas.fillStyle = rank ? this.colours?.text : this.colours?.muted;
      canvas.strokeText(text, place[0], place[1]);
      canvas.fillText(text, place[0], place[1]);
    }
  }
}

/**
 * A function from places to the canvas: all of these are on it, north is up, with room for words at the edge.
 * @param {number[][]} places @param {number[]} size [px] @returns {(place: number[]) => number[]}
 */
export function fit(places, [width, height]) {
  const [xs, ys] = [0, 1].map((axis) => places.map((place) => place[axis]));
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const edge = Math.min(44, width / 8, height / 8);
  const scale = Math.min((width - 2 * edge) / Math.max(right - left, 1e-6), (height - 2 * edge) / Math.max(high - low, 1e-6));
  return ([x, y]) => [width / 2 + (x - (left + right) / 2) * scale, height / 2 - (y - (low + high) / 2) * scale];
}
