// @ts-check
/** Draws a track and cars on two canvases, one above the other: the track changes seldom, the cars move. */

import { make } from "./dom.js";
import { Ground, sectorEnds } from "./ground.js";

/** What the drawing takes of the theme. */
const COLOURS = ["text", "muted", "surface", "accent", "compare", "track", "field", "own", "warn"];
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

  /**
   * The track, on a clean ground.
   * @param {Shape} shape @param {any} about the track as /api/laps tells it @param {import("./ground.js").Marks} marks
   */
  drawTrack(shape, about, marks) {
    const canvas = this.ground.getContext("2d");
    const style = getComputedStyle(this.frame);
    const lap = Array.from({ length: OUTLINE_PARTS }, (_, part) => part / (OUTLINE_PARTS - 1));
    const places = shape.at === null ? shape.dots : lap.map(shape.at);
    this.fit = fit([...places, ...marks.pits.flat()], this.size);
    this.colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.font = `${Math.max(parseFloat(style.fontSize) * 0.85, 10)}px ${style.fontFamily}`;
    this.unit = parseFloat(style.fontSize) / 14;
    canvas.clearRect(0, 0, ...this.size);
    canvas.font = this.font;
    const ground = new Ground(canvas, this);
    if (shape.at === null) ground.dots(places, shape.line);
    else ground.outline(shape.at, places, sectorEnds(about), marks);
    this.words = ground.words;
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
