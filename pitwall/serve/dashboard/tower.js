// @ts-check
/** The timing tower: the cars in order, each in a row that moves when its place changes. */

import { fieldBests, judgeable, lastSectors, mark } from "./bests.js";
import { stateOf } from "./carstate.js";
import { allPast, troubles } from "./clocks.js";
import { make, setAttribute, setClass, setText } from "./dom.js";
import { moving } from "./flip.js";
import * as format from "./format.js";
import { letter } from "./selection.js";
import { loss, lossLevel, stressLevel } from "./tires.js";

/** Where nothing is known of a track, so many sectors are shown. */
const SECTORS = 3;
const STATES = { running: ["●", "Run"], stopped: ["■", "Stop"], pit: ["▣", "Pit"], silent: ["○", "Silent"] };

/** @typedef {import("./race.js").Car} Car */
/**
 * @typedef {{selected: string[], now: number, sectors: number, fieldBests: (number | null)[], fieldBest: number | null,
 *   allPast: boolean}} View
 */
/** @typedef {{text: string, class?: string, note?: string}} Cell */
/** @typedef {{name: string, label: string, title: string, cell: (car: Car, view: View) => Cell}} Column */

/** @param {number} sectors @returns {Column[]} */
function columns(sectors) {
  return [
    {
      name: "pos",
      label: "P",
      title: "Position",
      cell: (car) => ({ text: String(car.gap?.position ?? format.UNKNOWN) }),
    },
    { name: "car", label: "Car", title: "Car", cell: (car) => ({ text: car.chassis }) },
    { name: "state", label: "State", title: "Running, stopped, in the pit, silent", cell: state },
    { name: "age", label: "Age", title: "How old the newest value is", cell: (car, { now }) => age(car, now) },
    {
      name: "laps",
      label: "Lap",
      title: "The lap under way",
      cell: (car) => ({ text: String(car.lapUnderWay ?? format.UNKNOWN) }),
    },
    { name: "gap", label: "Gap", title: "To the leader [s]", cell: gapToLeader },
    { name: "int", label: "Int", title: "Interval to the car ahead [s]", cell: interval },
    { name: "last", label: "Last", title: "Last lap", cell: lastLap },
    { name: "best", label: "Best", title: "Best clean lap", cell: bestLap },
    ...Array.from({ length: sectors }, (_, sector) => ({
      name: "sector",
      label: `S${sector + 1}`,
      title: `Last time of sector ${sector + 1} [s]`,
      cell: (/** @type {Car} */ car, /** @type {View} */ view) => sectorTime(car, view, sector),
    })),
    { name: "tire", label: "Tire", title: "Tire stress of the last clean lap, 100 is the field's median", cell: tire },
    { name: "loss", label: "Loss s/lap", title: "Predicted loss of pace [s a lap]", cell: lossCell },
    { name: "range", label: "90 %", title: "Where the predicted loss lies with 90 % [s a lap]", cell: lossRange },
  ];
}

/** @param {Car} car @param {View} view @returns {Cell} */
function state(car, { now }) {
  const found = stateOf(car, now);
  const [glyph, word] = STATES[found];
  return { text: glyph, note: word, class: found };
}

/** @param {Car} car @param {number} now @returns {Cell} */
const age = (car, now) => ({ text: format.age((now - car.heardAt) / 1000) });

/** @param {Car} car @returns {Cell} */
function gapToLeader({ gap }) {
  return gap?.position === 1 ? { text: "Leader" } : { text: format.gap(gap?.gapToLeaderSeconds, gap?.lapsDown) };
}

/** @param {Car} car @returns {Cell} */
function interval({ gap }) {
  if (gap?.position === 1) return { text: "" };
  const fights = gap?.overtakingOpportunity;
  return { text: format.gap(gap?.gapToAheadSeconds), class: fights ? "fights" : "", note: fights ? "▲" : "" };
}

/** @param {Car} car @returns {Cell} */
function lastLap(car) {
  const { lastLap } = car;
  const known = lastLap?.kind === "clean";
  return { text: format.lapTime(lastLap?.time), class: known ? "" : "unclean" };
}

/** @param {Car} car @param {View} view @returns {Cell} */
function bestLap(car, { fieldBest }) {
  const time = car.result?.bestLapSeconds;
  return { text: format.lapTime(time), class: mark(time, null, fieldBest) };
}

/** The sector times of a car that may be a best. @param {Car} car @param {(number | null)[]} times */
const judged = (car, times) => judgeable(times, car.result, car.laps.get(car.lastLap?.lap));

/** @param {Car} car @param {View} view @param {number} sector @returns {Cell} */
function sectorTime(car, { sectors, fieldBests }, sector) {
  const times = lastSectors(car.result, sectors);
  const time = times[sector];
  const unclean = format.known(time) && judged(car, times)[sector] === null;
  return {
    text: format.lapTime(time),
    class: unclean ? "unclean" : mark(time, car.bestSectors[sector], fieldBests[sector]),
  };
}

/** @param {Car} car @returns {Cell} */
function tire({ result }) {
  return { text: format.plain(result?.tireStressIndex, 0), class: stressLevel(result?.tireStressIndex) };
}

/** @param {Car} car @returns {Cell} */
function lossCell({ result }) {
  return { text: format.signed(loss(result), 3), class: lossLevel(result) };
}

/** @param {Car} car @returns {Cell} */
function lossRange({ result }) {
  return { text: loss(result) === null ? "" : format.range(result.lossInterval, 2) };
}

export class Tower {
  /** @param {HTMLElement} section @param {(id: string) => void} choose */
  constructor(section, choose) {
    this.choose = choose;
    this.heading = make("h2");
    this.about = make("span", { class: "about" });
    this.head = make("thead");
    this.body = make("tbody");
    this.table = make("table", { role: "grid", "aria-label": "Cars in order" }, this.head, this.body);
    const legend = make("p", { class: "legend" });
    for (const [name, text] of [
      ["field", "best of all"],
      ["own", "own best"],
      ["level", "tires going"],
      ["fights", "closing, under 1 s"],
      ["wrong", "clock is wrong"],
    ]) {
      legend.append(make("span", { class: `key ${name}`, text }));
    }
    this.urgent = make("p", { class: "urgent", role: "status", hidden: true });
    section.append(make("header", {}, this.heading, this.about), this.urgent, make("div", { class: "scroll" }, this.table), legend);
    /** @type {Map<string, any>} */
    this.rows = new Map();
    /** @type {Column[]} */
    this.columns = [];
    this.body.addEventListener("click", (/** @type {any} */ event) => {
      const row = event.target.closest("tr");
      if (row) this.choose(row.dataset.id);
    });
  }

  /**
   * @param {import("./race.js").Race} race @param {string | null} track @param {string[]} selected
   * @param {number} now @param {Set<string>} hidden cars @param {{text: string, urgent: string}} said of them
   */
  show(race, track, selected, now, hidden, said) {
    const all = race.order(track);
    const cars = all.filter((car) => !hidden.has(car.id));
    const about = race.tracks.get(track ?? "");
    const sectors = about?.sector_ends_m?.length || about?.best_sectors_s.length || SECTORS;
    const underWay = all.map((car) => judged(car, lastSectors(car.result, sectors)));
    const view = {
      selected,
      now,
      sectors,
      fieldBests: fieldBests(about?.best_sectors_s ?? [], underWay),
      fieldBest: about?.best_lap_s ?? null,
      allPast: allPast([...race.cars.values()]),
    };
    this.#setColumns(sectors);
    this.table.style.setProperty("--cars", String(cars.length));
    setText(this.heading, (track ?? "").replaceAll("_", " "));
    setText(this.about, [said.text, aboutTrack(all.length, about)].filter(Boolean).join(" · "));
    setText(this.urgent, said.urgent);
    this.urgent.hidden = said.urgent === "";
    this.#setOrder(cars);
    for (const car of cars) this.#fill(this.rows.get(car.id), car, view);
    // One row is reached by Tab, the arrow keys reach the others.
    const rows = [...this.body.rows];
    if (rows.length && !rows.some((row) => row.tabIndex === 0)) rows[0].tabIndex = 0;
  }

  /** Go to the row above or below. @param {number} step */
  move(step) {
    const rows = [...this.body.rows];
    const at = rows.indexOf(document.activeElement);
    const from = at >= 0 ? at + step : rows.findIndex((row) => row.tabIndex === 0);
    const row = rows[Math.min(Math.max(from, 0), rows.length - 1)];
    for (const other of rows) other.tabIndex = other === row ? 0 : -1;
    row?.focus();
  }

  /** The car whose row has the focus; null without. @returns {string | null} */
  get focused() {
    const row = document.activeElement;
    return row?.parentElement === this.body ? /** @type {any} */ (row).dataset.id : null;
  }

  /** @param {number} sectors */
  #setColumns(sectors) {
    const found = columns(sectors);
    if (found.length === this.columns.length) return;
    this.columns = found;
    this.rows.clear();
    this.body.replaceChildren();
    const cells = found.map(({ name, label, title }) =>
      make("th", { class: `c-${name}`, scope: "col", title, text: label }),
    );
    this.head.replaceChildren(make("tr", {}, ...cells));
  }

  /** @param {Car[]} cars */
  #setOrder(cars) {
    const ids = new Set(cars.map((car) => car.id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    for (const car of cars) if (!this.rows.has(car.id)) this.rows.set(car.id, this.#row(car));
    const rows = cars.map((car) => this.rows.get(car.id));
    if (rows.every((row, index) => this.body.rows[index] === row)) return;
    const focused = document.activeElement;
    moving(rows, () => {
      rows.forEach((row, index) => {
        if (this.body.rows[index] !== row) this.body.insertBefore(row, this.body.rows[index] ?? null);
      });
    });
    if (focused instanceof HTMLElement && document.activeElement !== focused && this.body.contains(focused))
      focused.focus();
  }

  /** @param {Car} car */
  #row(car) {
    const row = make("tr", { tabindex: "-1" });
    row.dataset.id = car.id;
    for (const { name } of this.columns) {
      const cell = make("td", { class: `c-${name}` });
      cell.append(make("span", { class: "value" }), make("small", { class: "note" }));
      if (name === "car") cell.append(make("small", { class: "wrong", text: "◷", role: "img", hidden: true }));
      row.append(cell);
    }
    return row;
  }

  /** The mark of a car whose times are wrong. @param {HTMLElement} sign @param {string[]} wrong */
  #times(sign, wrong) {
    sign.hidden = wrong.length === 0;
    const words = `Clock: ${wrong.join(", ")}`;
    setAttribute(sign, "title", words);
    setAttribute(sign, "aria-label", words);
  }

  /** @param {HTMLTableRowElement} row @param {Car} car @param {View} view */
  #fill(row, car, view) {
    const chosen = letter(view.selected, car.id);
    setClass(
      row,
      [stateOf(car, view.now), car.gap?.position === 1 ? "leader" : "", chosen && `chosen-${chosen}`].join(" ").trim(),
    );
    setAttribute(row, "aria-selected", String(chosen !== ""));
    this.columns.forEach(({ name, cell }, index) => {
      const found = cell(car, view);
      const shown = row.cells[index];
      setClass(shown, `c-${name} ${found.class ?? ""}`.trim());
      setText(shown.children[0], found.text);
      setText(shown.children[1], name === "car" ? chosen : (found.note ?? ""));
      if (name === "car") this.#times(/** @type {HTMLElement} */ (shown.children[2]), troubles(car, view.allPast));
    });
  }
}

/** What is said of a track beside its name. @param {number} cars @param {any} about */
export function aboutTrack(cars, about) {
  const said = [`${cars} ${cars === 1 ? "car" : "cars"}`];
  if (format.known(about?.length_m)) said.push(`${format.count(about.length_m)} m`);
  if (format.known(about?.best_lap_s)) said.push(`best ${format.lapTime(about.best_lap_s)} by ${about.best_chassis}`);
  return said.join(" · ");
}
