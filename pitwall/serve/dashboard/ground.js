// @ts-check
/** Draws a track on its canvas: the lap, its parts, the line, the direction, the sectors, the pit lane. */

import { known } from "./format.js";

/** How a part of the lap is drawn: its colour, its width [px], and its dashes [px]. */
/** @type {Record<string, {colour: string, width: number, dash: number[]}>} */
export const PARTS = {
  field: { colour: "field", width: 10, dash: [] },
  own: { colour: "own", width: 6, dash: [] },
  slower: { colour: "warn", width: 2.5, dash: [] },
  A: { colour: "accent", width: 7, dash: [] },
  B: { colour: "compare", width: 7, dash: [5, 3] },
};
const STEPS = 16;
/** The line is so many squares of this size [px] across the track. */
const SQUARES = 6;
const SQUARE = 3;

/** @typedef {(share: number) => number[]} At */
/** @typedef {{parts: string[], pits: number[][][]}} Marks */

export class Ground {
  /**
   * @param {any} canvas its context @param {{size: number[], fit: (place: number[]) => number[], unit: number,
   *   colours: Record<string, string>}} about
   */
  constructor(canvas, { size, fit, unit, colours }) {
    this.canvas = canvas;
    this.size = size;
    this.fit = fit;
    this.unit = unit;
    this.colours = colours;
    /** Where words stand: left, middle, width. @type {number[][]} */
    this.words = [];
    /** What words are not to hide. @type {number[][]} */
    this.lap = [];
  }

  /** Where cars have been. @param {number[][]} places @param {number[] | null} line where the line is */
  dots(places, line) {
    const { canvas, unit } = this;
    canvas.fillStyle = this.colours.track;
    for (const [x, y] of places.map(this.fit)) canvas.fillRect(x - 1.5, y - 1.5, 3, 3);
    if (line === null) return;
    const [x, y] = this.fit(line);
    canvas.fillStyle = this.colours.text;
    canvas.fillRect(x - 4 * unit, y - unit, 8 * unit, 2 * unit);
    this.#word("Start / finish", x, y - 12 * unit, this.colours.text);
  }

  /**
   * The lap.
   * @param {At} at @param {number[][]} places of all of it @param {number[]} ends of sectors, in shares @param {Marks} marks
   */
  outline(at, places, ends, { parts, pits }) {
    const { colours, unit } = this;
    this.canvas.lineJoin = "round";
    this.canvas.setLineDash([]);
    this.lap = [...places, ...pits.flat()].map(this.fit);
    for (const lane of pits) this.#path(lane, colours.muted, 1.5 * unit);
    this.#path(places, colours.track, 7 * unit);
    this.#parts(at, parts);
    for (const end of ends) this.#tick(at, end, 7, colours.text);
    this.#line(at);
    this.#arrow(at);
    this.#beside(at, 0, "Start / finish", colours.text, true);
    ends.forEach((end, sector) => this.#beside(at, end, `S${sector + 1} ends`, colours.text, false));
    if (ends.length > 0) {
      [0, ...ends].forEach((start, sector) => {
        this.#beside(at, (start + (ends[sector] ?? 1)) / 2, `S${sector + 1}`, colours.muted, false);
      });
    }
    const longest = [...pits].sort((one, other) => other.length - one.length)[0];
    if (longest) this.#free("Pit lane", longest.map(this.fit), colours.muted);
  }

  /** @param {At} at @param {string[]} parts of equal length */
  #parts(at, parts) {
    parts.forEach((kind, index) => {
      const look = PARTS[kind];
      if (look === undefined) return;
      const places = Array.from({ length: STEPS + 1 }, (_, step) => at((index + step / STEPS) / parts.length));
      this.canvas.setLineDash(look.dash.map((length) => length * this.unit));
      this.#path(places, this.colours[look.colour], look.width * this.unit);
    });
    this.canvas.setLineDash([]);
  }

  /** @param {number[][]} places @param {string} colour @param {number} width [px] */
  #path(places, colour, width) {
    const { canvas } = this;
    canvas.strokeStyle = colour;
    canvas.lineWidth = width;
    canvas.beginPath();
    for (const [x, y] of places.map(this.fit)) canvas.lineTo(x, y);
    canvas.stroke();
  }

  /** A place on the lap on the canvas, and the directions along and across it. @param {At} at @param {number} share */
  #across(at, share) {
    const [x, y] = this.fit(at(share));
    const [before, after] = [this.fit(at(share - 0.004)), this.fit(at(share + 0.004))];
    const [dx, dy] = [after[0] - before[0], after[1] - before[1]];
    const length = Math.hypot(dx, dy) || 1;
    return { x, y, along: [dx / length, dy / length], across: [-dy / length, dx / length] };
  }

  /** 1 or -1: which side across the track is the outer one. @param {{x: number, y: number, across: number[]}} place */
  #outward({ x, y, across }) {
    return across[0] * (x - this.size[0] / 2) + across[1] * (y - this.size[1] / 2) < 0 ? -1 : 1;
  }

  /** @param {At} at @param {number} share @param {number} half @param {string} colour */
  #tick(at, share, half, colour) {
    const { x, y, across } = this.#across(at, share);
    const { canvas, unit } = this;
    const reach = half * unit;
    canvas.strokeStyle = colour;
    canvas.lineWidth = 2 * unit;
    canvas.beginPath();
    canvas.moveTo(x - across[0] * reach, y - across[1] * reach);
    canvas.lineTo(x + across[0] * reach, y + across[1] * reach);
    canvas.stroke();
  }

  /** The start and finish line, chequered. @param {At} at */
  #line(at) {
    const { x, y, along, across } = this.#across(at, 0);
    const { canvas, unit } = this;
    const side = SQUARE * unit;
    canvas.save();
    canvas.transform(along[0], along[1], across[0], across[1], x, y);
    canvas.fillStyle = this.colours.surface;
    canvas.fillRect(-side - unit, (-SQUARES / 2) * side - unit, 2 * side + 2 * unit, SQUARES * side + 2 * unit);
    canvas.fillStyle = this.colours.text;
    for (let row = 0; row < SQUARES; row += 1) {
      canvas.fillRect(row % 2 ? 0 : -side, (row - SQUARES / 2) * side, side, side);
    }
    canvas.restore();
  }

  /** Which way the cars go: an arrow behind the line, on the inner side of the track. @param {At} at */
  #arrow(at) {
    const { canvas, unit } = this;
    const places = [0.022, 0.04, -0.03, -0.05, 0.06].flatMap((share) => {
      const place = this.#across(at, share);
      const inward = -this.#outward(place) * 14 * unit;
      return [inward, -inward].map((away) => ({
        ...place,
        x: place.x + place.across[0] * away,
        y: place.y + place.across[1] * away,
      }));
    });
    const room = (/** @type {{x: number, y: number}} */ { x, y }) => Math.min(...this.lap.map((each) => Math.hypot(each[0] - x, each[1] - y)));
    const place = places.find((each) => room(each) > 11 * unit) ?? places[0];
    const { x, y } = place;
    canvas.save();
    canvas.transform(place.along[0], place.along[1], place.across[0], place.across[1], x, y);
    canvas.strokeStyle = canvas.fillStyle = this.colours.text;
    canvas.lineWidth = 2 * unit;
    canvas.beginPath();
    canvas.moveTo(-9 * unit, 0);
    canvas.lineTo(3 * unit, 0);
    canvas.stroke();
    canvas.beginPath();
    canvas.moveTo(9 * unit, 0);
    canvas.lineTo(2 * unit, -4.5 * unit);
    canvas.lineTo(2 * unit, 4.5 * unit);
    canvas.fill();
    canvas.restore();
    this.words.push([x - 9 * unit, y, 18 * unit]);
  }

  /**
   * A word beside the track, on its outer side if it can; where there is no room, only one that must be there.
   * @param {At} at @param {number} share @param {string} text @param {string} colour @param {boolean} must
   */
  #beside(at, share, text, colour, must) {
    const place = this.#across(at, share);
    const width = this.canvas.measureText(text).width;
    const away = this.#outward(place) * (14 * this.unit + (Math.abs(place.across[0]) * width) / 2);
    const beside = (/** @type {number} */ times) =>
      /** @type {const} */ ([place.x + place.across[0] * away * times, place.y + place.across[1] * away * times]);
    const times = [1, -1, 1.6, -1.6, 2.4, -2.4, 3.4].find((each) => this.#clear(...beside(each), width));
    if (times === undefined && !must) return;
    // From afar a thin line tells what is meant.
    if (Math.abs(times ?? 1) > 1.6) {
      const [dx, dy] = beside(times ?? 1).map((value, axis) => value - [place.x, place.y][axis]);
      const part = 1 - (10 * this.unit) / Math.hypot(dx, dy);
      this.canvas.strokeStyle = this.colours.muted;
      this.canvas.lineWidth = this.unit;
      this.canvas.beginPath();
      this.canvas.moveTo(place.x, place.y);
      this.canvas.lineTo(place.x + part * dx, place.y + part * dy);
      this.canvas.stroke();
    }
    this.#word(text, ...beside(times ?? 1), colour);
  }

  /** A word near a way, where there is room. @param {string} text @param {number[][]} way @param {string} colour */
  #free(text, way, colour) {
    const width = this.canvas.measureText(text).width;
    const [aside, off] = [width / 2 + 10 * this.unit, 14 * this.unit];
    const around = [
      [0, off],
      [0, -off],
      [aside, 0],
      [-aside, 0],
    ];
    const places = [0.5, 0.3, 0.7, 0.15, 0.85, 0, 1].map((share) => way[Math.round(share * (way.length - 1))]);
    const found = [1, 1.4, 2]
      .flatMap((far) => places.flatMap(([x, y]) => around.map(([dx, dy]) => [x + far * dx, y + far * dy])))
      .find(([x, y]) => this.#clear(x, y, width));
    if (found) this.#word(text, found[0], found[1], colour);
  }

  /** Whether neither a word nor the track is there. @param {number} x @param {number} y @param {number} width */
  #clear(x, y, width) {
    const edge = width / 2 + 2;
    if (x < edge || x > this.size[0] - edge || y < 8 || y > this.size[1] - 8) return false;
    const over = (/** @type {number[]} */ [at, middle]) => Math.abs(at - x) < edge + 3 && Math.abs(middle - y) < 9 * this.unit;
    if (this.lap.some(over)) return false;
    return !this.words.some(
      ([left, middle, wide]) =>
        x - width / 2 < left + wide + 4 && left < x + width / 2 + 4 && Math.abs(middle - y) < 14 * this.unit,
    );
  }

  /** A word around a place. @param {string} text @param {number} x @param {number} y @param {string} colour */
  #word(text, x, y, colour) {
    const { canvas } = this;
    const half = canvas.measureText(text).width / 2;
    const middle = Math.min(Math.max(x, half + 2), this.size[0] - half - 2);
    const line = Math.min(Math.max(y, 8), this.size[1] - 8);
    canvas.textAlign = "center";
    canvas.textBaseline = "middle";
    canvas.lineWidth = 3 * this.unit;
    canvas.strokeStyle = this.colours.surface;
    canvas.strokeText(text, middle, line);
    canvas.fillStyle = colour;
    canvas.fillText(text, middle, line);
    this.words.push([middle - half, line, 2 * half]);
  }
}

/** Where sectors end within the lap, in shares of it. @param {any} about the track @returns {number[]} */
export function sectorEnds(about) {
  const length = about?.length_m;
  return known(length) ? about.sector_ends_m.slice(0, -1).map((/** @type {number} */ end) => end / length) : [];
}
