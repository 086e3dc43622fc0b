// @ts-check
/** Draws a track and cars on two canvases, one above the other: the track changes seldom, the cars move. */

import { make } from "./dom.js";
import { known } from "./format.js";

/** What the drawing takes of the theme. */
const COLOURS = ["text", "muted", "surface", "accent", "compare", "track"];
const OUTLINE_PARTS = 301;

/** The lap by its share, or dots where cars have been, and where the line is. */
/** @typedef {{at: ((share: number) => number[]) | null, dots: number[][], line: number[] | null}} Shape */
/** @typedef {{id: string, x: number, y: number, rank: number, chosen: string, silent: boolean, text: string}} Dot */

export class Chart {
  /** @param {() => void} resized told when all is to be drawn anew */
  constructor(resized) {
    this.resized = resized;
    this.ground = make("canvas", { "aria-hidden": "true" });
    this.top = make("canvas", {
      role: "img",
      "aria-label": "Cars on the track; the timing tower has the same in figures",
    });
    this.frame = make("div", { class: "canvases" }, this.ground, this.top);
    /** Width and height [px]. */
    this.size = [0, 0];
    /** Where words stand on the ground: left, middle, width. @type {number[][]} */
    this.words = [];
    /** @type {Record<string, string>} */
    this.colours = {};
    /** From a place on the track to one on the canvas. @type {(place: number[]) => number[]} */
    this.fit = (place) => place;
    this.font = "";
    /** How large things are, 1 on a usual screen. */
    this.unit = 1;
    new ResizeObserver(() => this.#resize()).observe(this.frame);
  }

  get visible() {
    return this.size[0] >= 40 && this.size[1] >= 40;
  }

  #resize() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    this.size = [this.frame.clientWidth, this.frame.clientHeight];
    for (const canvas of [this.ground, this.top]) {
      canvas.width = this.size[0] * scale;
      canvas.height = this.size[1] * scale;
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    }
    this.resized();
  }

  /** The track, on a clean ground. @param {Shape} shape @param {any} about the track as /api/laps tells it */
  drawTrack(shape, about) {
    const canvas = this.ground.getContext("2d");
    const style = getComputedStyle(this.frame);
    const lap = Array.from({ length: OUTLINE_PARTS }, (_, part) => part / (OUTLINE_PARTS - 1));
    const places = shape.at === null ? shape.dots : lap.map(shape.at);
    this.fit = fit(places, this.size);
    this.colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.font = `${Math.max(parseFloat(style.fontSize) * 0.85, 10)}px ${style.fontFamily}`;
    this.unit = parseFloat(style.fontSize) / 14;
    this.words = [];
    canvas.clearRect(0, 0, ...this.size);
    canvas.font = this.font;
    if (shape.at === null) this.#dots(canvas, places, shape.line);
    else this.#outline(canvas, shape.at, places, sectorEnds(about));
  }

  /** @param {any} canvas @param {number[][]} places @param {number[] | null} line where the line is */
  #dots(canvas, places, line) {
    canvas.fillStyle = this.colours.track;
    for (const [x, y] of places.map(this.fit)) canvas.fillRect(x - 1.5, y - 1.5, 3, 3);
    if (line === null) return;
    const [x, y] = this.fit(line);
    canvas.fillStyle = this.colours.text;
    canvas.fillRect(x - 4 * this.unit, y - this.unit, 8 * this.unit, 2 * this.unit);
    this.#word(canvas, "Start / finish", x, y - 12 * this.unit, this.colours.text);
  }

  /**
   * @param {any} canvas @param {(share: number) => number[]} at @param {number[][]} places
   * @param {number[]} ends of sectors
   */
  #outline(canvas, at, places, ends) {
    canvas.lineJoin = "round";
    canvas.strokeStyle = this.colours.track;
    canvas.lineWidth = 7 * this.unit;
    canvas.beginPath();
    for (const [x, y] of places.map(this.fit)) canvas.lineTo(x, y);
    canvas.stroke();
    for (const end of ends) this.#tick(canvas, at, end, 6, this.colours.muted);
    this.#tick(canvas, at, 0, 9, this.colours.text);
    this.#beside(canvas, at, 0, "Start / finish", this.colours.text);
    if (ends.length === 0) return;
    [0, ...ends].forEach((start, sector) => {
      this.#beside(canvas, at, (start + (ends[sector] ?? 1)) / 2, `S${sector + 1}`, this.colours.muted);
    });
  }

  /**
   * A place on the lap on the canvas, and the direction across it.
   * @param {(share: number) => number[]} at @param {number} share
   */
  #across(at, share) {
    const [x, y] = this.fit(at(share));
    const [before, after] = [this.fit(at(share - 0.004)), this.fit(at(share + 0.004))];
    const [dx, dy] = [after[0] - before[0], after[1] - before[1]];
    const length = Math.hypot(dx, dy) || 1;
    return { x, y, across: [-dy / length, dx / length] };
  }

  /**
   * @param {any} canvas @param {(share: number) => number[]} at @param {number} share @param {number} half
   * @param {string} colour
   */
  #tick(canvas, at, share, half, colour) {
    const { x, y, across } = this.#across(at, share);
    const reach = half * this.unit;
    canvas.strokeStyle = colour;
    canvas.lineWidth = 2 * this.unit;
    canvas.beginPath();
    canvas.moveTo(x - across[0] * reach, y - across[1] * reach);
    canvas.lineTo(x + across[0] * reach, y + across[1] * reach);
    canvas.stroke();
  }

  /**
   * A word beside the track, on its outer side.
   * @param {any} canvas @param {(share: number) => number[]} at @param {number} share @param {string} text @param {string} colour
   */
  #beside(canvas, at, share, text, colour) {
    const { x, y, across } = this.#across(at, share);
    const middle = [this.size[0] / 2, this.size[1] / 2];
    const outward = across[0] * (x - middle[0]) + across[1] * (y - middle[1]) < 0 ? -1 : 1;
    const away = outward * (14 * this.unit + (Math.abs(across[0]) * canvas.measureText(text).width) / 2);
    this.#word(canvas, text, x + across[0] * away, y + across[1] * away, colour);
  }

  /**
   * A word around a place.
   * @param {any} canvas @param {string} text @param {number} x @param {number} y @param {string} colour
   */
  #word(canvas, text, x, y, colour) {
    const half = canvas.measureText(text).width / 2;
    const middle = Math.min(Math.max(x, half + 2), this.size[0] - half - 2);
    const line = Math.min(Math.max(y, 8), this.size[1] - 8);
    canvas.fillStyle = colour;
    canvas.textAlign = "center";
    canvas.textBaseline = "middle";
    canvas.fillText(text, middle, line);
    this.words.push([middle - half, line, 2 * half]);
  }

  /** The cars, the most wanted above the others. @param {Dot[]} cars the most wanted last */
  drawCars(cars) {
    const canvas = this.top.getContext("2d");
    canvas.clearRect(0, 0, ...this.size);
    canvas.font = this.font;
    canvas.textBaseline = "middle";
    for (const car of cars) this.#dot(canvas, car);
    this.#names(canvas, cars);
  }

  /** @param {any} canvas @param {Dot} dot */
  #dot(canvas, { x, y, rank, chosen, silent }) {
    const { accent, compare, surface, muted, text } = this.colours;
    canvas.beginPath();
    canvas.arc(x, y, (rank > 0 ? 6.5 : 4.5) * this.unit, 0, 2 * Math.PI);
    canvas.fillStyle = { A: accent, B: compare }[chosen] ?? (silent ? surface : text);
    canvas.strokeStyle = silent ? muted : surface;
    canvas.lineWidth = 1.5 * this.unit;
    canvas.fill();
    canvas.stroke();
  }

  /** Names beside the cars, as far as there is room. @param {any} canvas @param {Dot[]} cars the most wanted last */
  #names(canvas, cars) {
    const taken = [...this.words];
    canvas.textAlign = "left";
    canvas.lineWidth = 3 * this.unit;
    canvas.strokeStyle = this.colours.surface;
    for (const { x, y, rank, text } of [...cars].reverse()) {
      const width = canvas.measureText(text).width;
      const place = room({ x, y, rank, width, unit: this.unit }, taken, cars, this.size[0]);
      if (place === null) continue;
      taken.push([...place, width]);
      canvas.fillStyle = rank ? this.colours.text : this.colours.muted;
      canvas.strokeText(text, place[0], place[1]);
      canvas.fillText(text, place[0], place[1]);
    }
  }
}

/**
 * Where a name is to begin: beside its car, where it hides nothing; one that is wanted is somewhere in any case.
 * @param {{x: number, y: number, rank: number, width: number, unit: number}} name
 * @param {number[][]} taken left, middle and width of other words @param {{x: number, y: number}[]} dots @param {number} edge [px]
 * @returns {number[] | null} left and middle
 */
export function room({ x, y, rank, width, unit }, taken, dots, edge) {
  const height = 13 * unit;
  const beside = [
    [x + 9 * unit, y],
    [x - 9 * unit - width, y],
  ];
  const off = [1, -1, 2, -2].map((lines) => [x - width / 2, y + lines * 18 * unit]);
  const places = [...beside, ...(rank ? off : [])].filter(([left]) => left > 1 && left + width < edge - 1);
  const clear = places.find(([left, at]) => {
    const over = (/** @type {number} */ l, /** @type {number} */ w) => left < l + w + 4 && l < left + width + 4;
    const words = taken.some(([l, t, w]) => over(l, w) && Math.abs(t - at) < height);
    return !words && !dots.some((dot) => over(dot.x, 0) && Math.abs(dot.y - at) < height / 2);
  });
  return clear ?? (rank ? (places[0] ?? null) : null);
}

/** Where sectors end within the lap, in shares of it. @param {any} about @returns {number[]} */
function sectorEnds(about) {
  const length = about?.length_m;
  return known(length) ? about.sector_ends_m.slice(0, -1).map((/** @type {number} */ end) => end / length) : [];
}

/**
 * A function from places to the canvas: all of these are on it, north is up, with room for words at the edge.
 * @param {number[][]} places @param {number[]} size [px] @returns {(place: number[]) => number[]}
 */
export function fit(places, [width, height]) {
  const [xs, ys] = [0, 1].map((axis) => places.map((place) => place[axis]));
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const edge = Math.min(44, width / 8, height / 8);
  const scale = Math.min(
    (width - 2 * edge) / Math.max(right - left, 1e-6),
    (height - 2 * edge) / Math.max(high - low, 1e-6),
  );
  return ([x, y]) => [width / 2 + (x - (left + right) / 2) * scale, height / 2 - (y - (low + high) / 2) * scale];
}
