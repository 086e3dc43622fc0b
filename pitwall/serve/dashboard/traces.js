// @ts-check
/** Traces of the selected one or two cars: what was sent over lap distance or time, lap over lap, and the g-g diagram. */

import { compare, deltaWords, LAPS } from "./compare.js";
import { Cursor } from "./cursor.js";
import { at } from "./curves.js";
import { fillList, make, setAttribute, setClass, setText } from "./dom.js";
import { known } from "./format.js";
import { GG } from "./gg.js";
import { library } from "./library.js";
import { layout, leastHeight, lines, look, panelsOf } from "./panels.js";

/** @typedef {import("./race.js").Car} Car */
/** @typedef {import("./recorder.js").Recorder} Recorder */
/** @typedef {import("./compare.js").Comparison} Comparison */

const NAME = "pitwall.traces";
/** What comes is drawn so often [ms], and no more than this share of the time is spent on it. */
const REDRAW_MS = 1000;
const SHARE = 0.07;
/** The g-g diagram is drawn with every third of these. */
const GG_EVERY = 3;
/** So long after a wheel was turned or something dragged, nothing that comes is drawn [ms]. */
const HAND_MS = 700;
/** A hand that is longer on the plot was not seen to leave it [ms]. */
const LONGEST_DRAG_MS = 15000;
/** A library that did not come is asked for again after [ms]. */
const AGAIN_MS = 10000;
/** Then the page scrolls as a whole, and a wheel is for that. */
const SCROLLS = "(max-width: 1080px)";
/** Colours that the drawing takes of the theme. */
const COLOURS = ["text", "muted", "line", "track", "accent", "compare"];
const AGAINST = { best: "Best lap", last: "Last lap", other: "Car B" };
const XS = { distance: "Lap distance", time: "Time" };
const DRAGS = { zoom: "Zoom", pan: "Pan" };

export class Traces {
  /**
   * @param {Recorder} recorder
   * @param {(work: () => Promise<any>) => Promise<any>} meanwhile does what stops the page for a while
   */
  constructor(recorder, meanwhile) {
    this.recorder = recorder;
    this.meanwhile = meanwhile;
    this.choice = load();
    /** What drag does; on a screen that is touched it scrolls the page until something else is chosen. @type {string | false} */
    this.drag = matchMedia("(pointer: coarse)").matches ? false : "zoom";
    /** What is seen of the x axis; null: all of it. @type {number[] | null} */
    this.range = null;
    /** @type {any} */
    this.plotly = null;
    /** @type {Car[]} */
    this.cars = [];
    this.units = "km/h";
    /** @type {any} */
    this.track = null;
    this.#build();
  }

  #drawnAs = "";
  #drawnCome = "";
  #drawnAt = -Infinity;
  #handAt = -Infinity;
  #held = false;
  #costMs = 0;
  #turn = 0;
  #triedAt = -Infinity;
  #listening = false;

  #build() {
    this.lap = picker("Lap", LAPS, (value) => this.#choose({ lap: value }));
    this.against = picker("Against", AGAINST, (value) => this.#choose({ against: value }));
    this.x = picker("Over", XS, (value) => this.#choose({ x: value }));
    const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
      make("button", { type: "button", text, "aria-label": label, title: label, onclick });
    this.drags = Object.entries(DRAGS).map(([drag, text]) =>
      button(text, `Drag: ${text.toLowerCase()}`, () => this.#setDrag(this.drag === drag ? false : drag)),
    );
    const zooms = [
      button("−", "Zoom out", () => this.#zoom(2, 0)),
      button("+", "Zoom in", () => this.#zoom(0.5, 0)),
      button("‹", "Move left", () => this.#zoom(1, -0.25)),
      button("›", "Move right", () => this.#zoom(1, 0.25)),
    ];
    this.reset = button("Whole lap", "Show the whole lap (double click)", () => this.#see(null));
    this.tools = make(
      "div",
      { class: "tools" },
      ...[this.lap, this.against, this.x],
      make("span", { class: "buttons", role: "group", "aria-label": "Zoom" }, ...this.drags, ...zooms, this.reset),
    );
    this.key = make("ul", { class: "key" });
    this.summary = make("p", { class: "summary" });
    this.plot = make("div", { class: "plot", tabindex: "0", role: "group" });
    this.cursor = new Cursor(this.plot);
    this.gg = new GG();
    this.message = make("p", { class: "none", role: "status" });
    this.room = make("div", { class: "room" }, make("div", { class: "plots" }, this.plot, this.cursor.element));
    this.content = make("div", { class: "content" }, this.room, this.gg.element);
    const about = make("div", { class: "about-lines" }, this.key, this.summary);
    this.element = make("div", { class: "traces" }, this.tools, about, this.message, this.content);
    new ResizeObserver(() => void (this.#drawnAs = "")).observe(this.room);
    this.plot.addEventListener("pointerdown", () => this.#hand(true));
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => this.#held && this.#hand(false));
  }

  /** A hand is on the plot, or has left it. @param {boolean} held */
  #hand(held) {
    this.#held = held;
    this.#handAt = performance.now();
  }

  /** @param {Partial<Choice>} choice */
  #choose(choice) {
    if (choice.x !== undefined && choice.x !== this.choice.x) this.range = null;
    Object.assign(this.choice, choice);
    save(this.choice);
    this.#drawnAs = "";
  }

  /** @param {string | false} drag */
  #setDrag(drag) {
    this.drag = drag;
    this.#drawnAs = "";
  }

  /** @param {number[] | null} range */
  #see(range) {
    this.range = range;
    this.#drawnAs = "";
  }

  /** @param {number} factor of the width @param {number} way in widths */
  #zoom(factor, way) {
    const whole = this.#whole(this.#comparison());
    const [from, to] = this.range ?? whole;
    const half = ((to - from) * factor) / 2;
    const middle = (this.cursor.x ?? (from + to) / 2) + way * (to - from);
    this.#see(within([middle - half, middle + half], whole));
  }

  #comparison() {
    return compare(this.cars, (id) => this.recorder.of(id), this.choice);
  }

  /** The whole of the x axis. @param {Comparison} comparison @returns {number[]} */
  #whole({ drawn }) {
    const ends = drawn.map(({ trace }) =>
      this.choice.x === "time"
        ? Math.max(trace.times.at(-1) ?? 0, trace.seconds || 0)
        : trace.distances.reduce((most, distance) => (distance > most ? distance : most), 0),
    );
    const length = this.choice.x === "distance" && known(this.track?.length_m) ? this.track.length_m : 0;
    return [0, Math.max(...ends, length, 1)];
  }

  /**
   * Draw what is to be drawn.
   * @param {Car[]} cars one or two @param {any} track as /api/laps tells it @param {string} units @param {number} now
   */
  show(cars, track, units, now) {
    [this.cars, this.track, this.units] = [cars, track, units];
    if (this.plotly === null) return this.#load(now);
    // What is drawn under a hand that drags is lost to it.
    if (this.#held && now - this.#handAt < LONGEST_DRAG_MS) return;
    const as = this.#as();
    if (as === this.#drawnAs) {
      const wait = Math.max(REDRAW_MS, this.#costMs / SHARE);
      if (now - this.#handAt < HAND_MS || now - this.#drawnAt < wait) return;
      if (this.#come() === this.#drawnCome) return;
    }
    this.#draw(now, as);
  }

  /** What decides on what is drawn, besides what comes. */
  #as() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const { theme } = document.documentElement.dataset;
    const size = [this.room.clientWidth, this.room.clientHeight, this.track?.length_m];
    return JSON.stringify([this.cars.map(({ id }) => id), this.choice, this.range, this.drag, this.units, theme, dark, size]);
  }

  /** What has come of these cars, and of their laps in the table. */
  #come() {
    return JSON.stringify(this.cars.map(({ id, laps }) => [this.recorder.of(id)?.version, laps.size]));
  }

  /** @param {number} now */
  #load(now) {
    if (now - this.#triedAt < AGAIN_MS) return;
    this.#triedAt = Infinity;
    this.#say("Loading the plotting library…");
    this.meanwhile(library).then(
      (plotly) => void (this.plotly = plotly),
      (error) => {
        this.#triedAt = performance.now();
        this.#say(`${error.message} There are no traces without it.`);
      },
    );
  }

  /** @param {string} text */
  #say(text) {
    setText(this.message, text);
    this.message.hidden = text === "";
    this.content.hidden = text !== "";
  }

  /** @param {number} now @param {string} as */
  #draw(now, as) {
    const began = performance.now();
    const all = as !== this.#drawnAs;
    const comparison = this.#comparison();
    this.#words(comparison);
    const panels = panelsOf(comparison, this.units);
    this.#drawnAs = as;
    this.#drawnCome = this.#come();
    this.#drawnAt = now;
    if (panels.length === 0) return this.#say("Nothing to draw has come yet.");
    this.#say("");
    const seen = this.#seen(comparison, panels.length);
    if (seen.width < 120) return;
    const ownOf = (/** @type {string} */ letter) => /** @type {any} */ (comparison.drawn.find((one) => one.letter === letter && !one.reference));
    const figure = lines(panels, comparison, seen, ownOf);
    const config = {
      displayModeBar: false,
      doubleClick: false,
      scrollZoom: !matchMedia(SCROLLS).matches,
      responsive: false,
    };
    this.plotly.react(this.plot, figure, layout(panels, seen, this.#ends(comparison), this.drag), config);
    this.#listen();
    this.cursor.show(panels, comparison, seen);
    if (all || this.#turn++ % GG_EVERY === 0) this.gg.draw(this.plotly, comparison.drawn, seen);
    // One slow drawing is not the next one's fault.
    this.#costMs = 0.7 * this.#costMs + 0.3 * (performance.now() - began);
  }

  #listen() {
    if (this.#listening) return;
    this.#listening = true;
    const seen = (/** @type {any} */ change) => {
      const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (!range.every((/** @type {any} */ end) => known(Number(end))) || range[0] === undefined) return;
      this.#handAt = performance.now();
      this.range = within(range.map(Number), this.#whole(this.#comparison()));
    };
    this.plot.on("plotly_relayout", (/** @type {any} */ change) => {
      seen(change);
      this.#handAt = -Infinity;
    });
    this.plot.on("plotly_relayouting", seen);
    this.plot.on("plotly_doubleclick", () => this.#see(null));
  }

  /** @param {Comparison} comparison @param {number} panels @returns {import("./panels.js").Seen} */
  #seen(comparison, panels) {
    const style = getComputedStyle(this.element);
    const em = parseFloat(style.fontSize);
    const colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const whole = this.#whole(comparison);
    const range = this.range === null ? whole : within(this.range, whole);
    // Where the page scrolls, the room is as high as what is in it.
    const room = matchMedia(SCROLLS).matches ? 0 : this.room.clientHeight - 2;
    const height = Math.max(room, Math.ceil(leastHeight(panels, em)));
    return { x: this.choice.x, range, width: this.room.clientWidth, height, em, units: this.units, colours };
  }

  /** Where sectors end on the x axis, as far as that is known. @param {Comparison} comparison */
  #ends({ drawn }) {
    const ends = /** @type {number[]} */ (this.track?.sector_ends_m ?? []);
    const path = this.choice.x === "time" ? [...drawn].reverse().find(({ trace }) => trace.began)?.trace.path : null;
    return ends
      .map((end, sector) => {
        const time = path ? at(path.distances, path.times, Math.min(end, path.distances.at(-1) ?? 0)) : NaN;
        const passed = path && (path.distances.at(-1) ?? 0) > end - 30;
        return { x: this.choice.x === "distance" ? end : passed ? time : NaN, text: `S${sector + 1}` };
      })
      .filter(({ x }) => known(x));
  }

  /** @param {Comparison} comparison */
  #words(comparison) {
    const two = this.cars.length > 1;
    const other = /** @type {any} */ (this.against.lastElementChild).options[2];
    other.hidden = other.disabled = !two;
    for (const [select, value] of [
      [this.lap, this.choice.lap],
      [this.against, two || this.choice.against !== "other" ? this.choice.against : "best"],
      [this.x, this.choice.x],
    ]) {
      if (select.lastElementChild.value !== value) select.lastElementChild.value = value;
    }
    this.drags.forEach((button, index) => setAttribute(button, "aria-pressed", String(Object.keys(DRAGS)[index] === this.drag)));
    this.reset.disabled = this.range === null;
    fillList(this.key, comparison.drawn, swatch, (item, one) => {
      setClass(item, `key-${one.letter}`);
      const { dash, width } = look(one, {});
      setAttribute(item.firstElementChild.firstElementChild, "stroke-dasharray", DASHES[/** @type {"dot"} */ (dash)]);
      setAttribute(item.firstElementChild.firstElementChild, "stroke-width", String(width + 0.3));
      const car = this.cars["AB".indexOf(one.letter)]?.chassis ?? "";
      setText(item.lastElementChild, `${one.letter} ${car} ${one.name}`);
    });
    const deltas = comparison.deltas.map((one) => deltaWords(one, this.cars)).filter(Boolean);
    const said = [...deltas.map((words) => `${words}.`), ...comparison.notes].join(" ");
    setText(this.summary, said);
    this.summary.hidden = said === "";
    setAttribute(this.plot, "aria-label", `Traces over ${XS[/** @type {"time"} */ (this.choice.x)].toLowerCase()}; the left and right keys move the cursor`);
  }
}

const DASHES = { solid: null, dot: "2 3", dash: "8 4", dashdot: "7 3 2 3" };
const SVG = "http://www.w3.org/2000/svg";

function swatch() {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["viewBox", "0 0 30 8"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of [["x1", "0"], ["x2", "30"], ["y1", "4"], ["y2", "4"]]) line.setAttribute(name, value);
  svg.append(line);
  return make("li", {}, svg, make("span"));
}

/** @param {string} label @param {Record<string, string>} values @param {(value: string) => void} chosen */
function picker(label, values, chosen) {
  const select = make("select", { onchange: () => chosen(select.value) });
  select.append(...Object.entries(values).map(([value, text]) => make("option", { value, text })));
  return make("label", {}, make("span", { text: label }), select);
}

/** A range as wide as it was asked for, if there is room, within the whole. @param {number[]} range @param {number[]} whole */
export function within([from, to], [least, most]) {
  const width = Math.min(Math.max(to - from, (most - least) / 500), most - least);
  const left = Math.min(Math.max((from + to - width) / 2, least), most - width);
  return width >= (most - least) * 0.999 ? [least, most] : [left, left + width];
}

/** @typedef {{lap: string, against: string, x: string}} Choice */

/** @returns {Choice} */
function load() {
  /** @type {any} */
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(NAME) ?? "{}") ?? {};
  } catch {
    // Then it is as it is for everyone.
  }
  const one = (/** @type {any} */ value, /** @type {object} */ values, /** @type {string} */ usual) =>
    typeof value === "string" && value in values ? value : usual;
  return { lap: one(kept.lap, LAPS, "this"), against: one(kept.against, AGAINST, "other"), x: one(kept.x, XS, "distance") };
}

/** @param {Choice} choice */
function save(choice) {
  try {
    localStorage.setItem(NAME, JSON.stringify(choice));
  } catch {
    // Then it holds as long as the page.
  }
}
