// @ts-check
/** The selected car, or two that are compared: their channels now, their laps, what is said of them. */

import { stateOf } from "./carstate.js";
import * as channels from "./channels.js";
import { fillList, make, setAttribute, setClass, setText } from "./dom.js";
import * as format from "./format.js";
import { loss } from "./tires.js";

const NAME = "pitwall.detail";

/** Laps that are shown of each. */
const MOST_LAPS = 12;
/** Insights that are shown of both. */
const MOST_INSIGHTS = 8;
/** A value that is so old looks so [s]. */
const STALE_S = 3;

/** @typedef {import("./race.js").Car} Car */

/** The laps of one or two cars by number, the newest first. @param {Car[]} cars @returns {[number, any[]][]} */
export function lapRows(cars) {
  const numbers = new Set(cars.flatMap((car) => [...car.laps.keys()]));
  const newest = [...numbers].sort((one, other) => other - one).slice(0, MOST_LAPS);
  return newest.map((number) => [number, cars.map((car) => car.laps.get(number) ?? null)]);
}

/** The time of a lap, and what kind it is where no column says that. @param {any} lap @param {boolean} said */
export function lapText(lap, said) {
  const kind = said && lap && lap.kind !== "clean" ? ` ${lap.kind}` : "";
  return format.lapTime(lap?.lap_time_s) + kind;
}

export class Detail {
  /** @param {HTMLElement} section @param {import("./traces.js").Traces} traces @param {() => void} close */
  constructor(section, traces, close) {
    this.section = section;
    this.traces = traces;
    this.names = make("div", { class: "names" });
    const button = make("button", { type: "button", onclick: close, text: "Close", title: "Esc" });
    this.channels = make("table", { "aria-label": "Channels now" }, make("thead"), make("tbody"));
    this.laps = make("table", { "aria-label": "Laps" }, make("thead"), make("tbody"));
    this.said = make("ul", { class: "said" });
    this.none = make("p", { class: "none", text: "Nothing to say." });
    const part = (/** @type {string} */ title, /** @type {any[]} */ ...content) =>
      make(
        "div",
        { class: "part" },
        make("h3", { text: title }),
        make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, ...content),
      );
    this.parts = make(
      "div",
      { class: "parts" },
      part("Now", this.channels),
      part("Laps", this.laps),
      part("Insights", this.said, this.none),
    );
    const view = (/** @type {string} */ text, /** @type {boolean} */ traced) =>
      make("button", { type: "button", text, onclick: () => this.#view(traced, true) });
    this.views = [view("Figures", false), view("Traces", true)];
    this.wide = make("button", { type: "button", class: "wide", text: "Wide", "aria-pressed": "false" });
    this.wide.title = "The traces alone, without tower, map and insights";
    this.wide.addEventListener("click", () => {
      setAttribute(this.wide, "aria-pressed", String(document.body.classList.toggle("traces-wide")));
    });
    const views = make("div", { class: "views", role: "group", "aria-label": "View" }, ...this.views, this.wide);
    section.append(make("header", {}, this.names, views, button), this.parts, traces.element);
    this.#view(kept(), false);
  }

  /** @param {boolean} traced whether the traces are shown, in place of figures @param {boolean} keep */
  #view(traced, keep) {
    this.traced = traced;
    this.parts.hidden = traced;
    this.traces.element.hidden = !traced;
    this.section.classList.toggle("traced", traced);
    this.views.forEach((button, index) => setAttribute(button, "aria-pressed", String(traced === (index === 1))));
    if (!traced && this.wide.getAttribute("aria-pressed") === "true") this.wide.click();
    if (!keep) return;
    try {
      localStorage.setItem(NAME, traced ? "traces" : "figures");
    } catch {
      // Then it holds as long as the page.
    }
  }

  /**
   * @param {Car[]} cars one or two, or none @param {any[]} insights of the track
   * @param {any} track as /api/laps tells it @param {string} units @param {number} now
   */
  show(cars, insights, track, units, now) {
    this.section.hidden = cars.length === 0;
    document.body.classList.toggle("traces-wide", cars.length > 0 && this.wide.getAttribute("aria-pressed") === "true");
    if (cars.length === 0) return;
    fillList(
      this.names,
      cars,
      () => make("h2", {}, make("span", { class: "letter" }), make("span"), make("small")),
      (name, car) => {
        const letter = "AB"[cars.indexOf(car)];
        setClass(name, `name-${letter}`);
        setText(name.children[0], letter);
        setText(name.children[1], car.chassis);
        setText(name.children[2], summary(car, now));
      },
    );
    if (this.traced) return this.traces.show(cars, track, units, now);
    this.#channels(cars, units, now);
    this.#laps(cars);
    const of = new Set(cars.map((car) => car.chassis));
    const said = insights.filter((insight) => of.has(insight.chassis)).slice(0, MOST_INSIGHTS);
    this.none.hidden = said.length > 0;
    fillList(
      this.said,
      said,
      () => make("li", {}, make("span", { class: "severity" }), make("span", { class: "message" })),
      (line, insight) => {
        setClass(line, `${insight.severity} ${insight.state}`);
        setText(line.children[0], insight.state === "cleared" ? "over" : insight.severity);
        const letter = "AB"[cars.findIndex((car) => car.chassis === insight.chassis)];
        setText(line.children[1], cars.length > 1 ? `${letter}: ${insight.message}` : insight.message);
      },
    );
  }

  /** @param {Car[]} cars @param {string} units @param {number} now */
  #channels(cars, units, now) {
    heads(this.channels, ["Channel", ...cars.map((_, index) => (cars.length > 1 ? "AB"[index] : "Now"))]);
    fillList(
      this.channels.tBodies[0],
      channels.shown(cars.map((car) => car.channels)),
      () => make("tr"),
      (row, name) => {
        const [label, unit] = channels.title(name, units);
        const values = cars.map((car) => ({
          text: car.channels.has(name) ? channels.text(name, car.channels.get(name), units) : format.UNKNOWN,
          class: (now - (car.channelAt.get(name) ?? -Infinity)) / 1000 < STALE_S ? "" : "stale",
        }));
        cells(row, [{ text: unit ? `${label} (${unit})` : label, head: true }, ...values]);
      },
    );
  }

  /** @param {Car[]} cars */
  #laps(cars) {
    const two = cars.length > 1;
    const sectors = Math.max(...[...cars[0].laps.values()].map((lap) => lap.sector_times_s.length), 0);
    const titles = Array.from({ length: sectors }, (_, sector) => `S${sector + 1}`);
    heads(this.laps, two ? ["Lap", "A", "B", "A − B"] : ["Lap", "Time", ...titles, "Kind"]);
    fillList(
      this.laps.tBodies[0],
      lapRows(cars),
      () => make("tr"),
      (row, [number, [one, other]]) => {
        const time = (/** @type {any} */ lap) => ({
          text: lapText(lap, two),
          class: lap?.field_best ? "field" : lap?.best ? "own" : lap && lap.kind !== "clean" ? "unclean" : "",
        });
        if (two) {
          const difference = one?.lap_time_s && other?.lap_time_s ? one.lap_time_s - other.lap_time_s : null;
          cells(row, [
            { text: String(number), head: true },
            time(one),
            time(other),
            { text: format.signed(difference, 3) },
          ]);
        } else {
          const times = titles.map((_, sector) => ({ text: format.lapTime(one.sector_times_s[sector]) }));
          cells(row, [{ text: String(number), head: true }, time(one), ...times, { text: one.kind, class: "unit" }]);
        }
      },
    );
  }
}

/** Whether traces were shown when the page was left. */
function kept() {
  try {
    return localStorage.getItem(NAME) === "traces";
  } catch {
    return false;
  }
}

/** @param {Car} car @param {number} now */
function summary(car, now) {
  const { result } = car;
  const said = [`P${car.gap?.position ?? format.UNKNOWN}`, stateOf(car, now)];
  if (loss(result) !== null)
    said.push(`loss ${format.signed(loss(result), 3)} s/lap (${format.range(result.lossInterval, 2)})`);
  if (format.known(result?.theoreticalBestSeconds))
    said.push(`theoretical best ${format.lapTime(result.theoreticalBestSeconds)}`);
  if (format.known(result?.forecast?.time)) said.push(`next lap ${format.lapTime(result.forecast.time)}`);
  return said.join(" · ");
}

/** @param {any} table @param {string[]} titles */
function heads(table, titles) {
  const row = table.tHead.rows[0] ?? table.tHead.insertRow();
  fillList(row, titles, () => make("th", { scope: "col" }), setText);
}

/** @param {any} row @param {{text: string, class?: string, head?: boolean}[]} values */
function cells(row, values) {
  while (row.children.length > values.length) row.lastElementChild.remove();
  values.forEach((value, index) => {
    if (!row.children[index]) row.append(value.head ? make("th", { scope: "row" }) : make("td"));
    setText(row.children[index], value.text);
    setClass(row.children[index], value.class ?? "");
  });
}
