// @ts-check
/** The trust bar: whether what is shown is what happens. */

import { fillList, make, setAttribute, setClass, setText } from "./dom.js";
import * as format from "./format.js";
import { SILENT_S } from "./carstate.js";
import { clocks } from "./clocks.js";

/** A delay over this is worth a look [ms]. */
const LATE_MS = 1000;

/** @typedef {{text: string, level?: string, title: string}} Item */

/** What is dropped at each door. @param {any} metrics @returns {[string, string, number][]} door, why, how many */
export function drops(metrics) {
  /** @type {[string, string, number][]} */
  const found = [];
  for (const [door, reasons] of Object.entries(metrics?.refused ?? {})) {
    for (const [reason, count] of Object.entries(reasons)) found.push([door, reason, Number(count)]);
  }
  if (metrics?.udpKernelDrops > 0) found.push(["udp", "no room in the kernel", metrics.udpKernelDrops]);
  return found.filter(([, , count]) => count > 0);
}

/**
 * The connection in words.
 * @param {string} state @param {number} seconds it is so @param {number} waits until the next try [s]
 */
export function connection(state, seconds, waits) {
  if (state === "open") return { text: "● Live", level: "good" };
  if (state === "connecting") return { text: "◌ Connecting", level: "warn" };
  const again = waits > 0.5 ? `again in ${Math.ceil(waits)} s` : "trying";
  return { text: `✕ Lost ${format.age(seconds)}, ${again}`, level: "bad" };
}

/**
 * How old the cars' newest values are.
 * @param {number[]} agesS [s] @returns {{text: string, level: string}}
 */
export function freshness(agesS) {
  if (!agesS.length) return { text: format.UNKNOWN, level: "" };
  const stale = agesS.filter((age) => !(age < SILENT_S)).length;
  if (stale > 0) return { text: `▲ ${stale} of ${agesS.length} silent`, level: "warn" };
  return { text: format.age(Math.max(...agesS)), level: "" };
}

export class TrustBar {
  /** @param {HTMLElement} list */
  constructor(list) {
    this.cells = new Map();
    for (const [name, label] of Object.entries({
      link: "Connection",
      rate: "Points/s",
      delay: "Delay",
      oldest: "Oldest value",
      clocks: "Clocks",
      quality: "Quality",
      missed: "Missed",
      clients: "Clients",
      drops: "Dropped",
    })) {
      const value = make("dd");
      list.append(make("div", { class: `trust-${name}` }, make("dt", { text: label }), value));
      this.cells.set(name, value);
    }
    this.drops = this.#opens("drops");
    this.clocks = this.#opens("clocks");
  }

  /** A cell that opens to a list. @param {string} name */
  #opens(name) {
    const [text, lines] = [make("span"), make("ul")];
    this.cells.get(name).append(make("details", {}, make("summary", {}, text), lines));
    return { text, lines };
  }

  /**
   * @param {import("./feed.js").Feed} feed @param {import("./race.js").Race} race
   * @param {number} now [ms of the page]
   */
  show(feed, race, now) {
    const metrics = feed.health?.metrics;
    const live = feed.state === "open";
    const delayMs = live ? feed.delayMs : null;
    // What is not live is not known: the last figures would be taken for those of now.
    const current = (/** @type {string} */ text) => (live ? text : format.UNKNOWN);
    const link = connection(feed.state, (now - feed.since) / 1000, (feed.retryAt - now) / 1000);
    const reduced = feed.quality === "reduced";
    const missed = feed.client.counters;
    /** @type {Record<string, Item>} */
    const items = {
      link: { ...link, title: "The stream from the server" },
      rate: { text: current(format.count(metrics?.messageRate)), title: "Points that the server accepts in a second" },
      delay: {
        text: format.delay(delayMs),
        level: delayMs !== null && delayMs > LATE_MS ? "warn" : "",
        title: "From the time of a point to this screen; unknown where the cars' times are not of now",
      },
      oldest: {
        ...freshness([...race.cars.values()].map((car) => (now - car.heardAt) / 1000)),
        title: "How long ago the car was heard that has been quiet for longest",
      },
      quality: {
        text: current(reduced ? "▼ Reduced" : "Full"),
        level: reduced ? "warn" : "",
        title: "Reduced: this screen is too slow for the stream and gets less of it",
      },
      missed: {
        text: missed.unknownGaps > 0 ? "▲ unknown" : format.count(missed.pointsLost),
        level: missed.gaps > 0 ? "warn" : "",
        title: "Points that this page should have got and has not",
      },
      clients: { text: current(format.count(metrics?.wsClients)), title: "Screens and programs on the stream" },
    };
    for (const [name, item] of Object.entries(items)) {
      const cell = this.cells.get(name);
      setText(cell, item.text);
      setClass(cell, item.level ?? "");
      setAttribute(cell.parentElement, "title", item.title);
    }
    this.#drops(drops(metrics), metrics !== undefined);
    const times = clocks([...race.cars.values()]);
    setText(this.clocks.text, current(times.text));
    setClass(this.clocks.text, live ? times.level : "");
    setAttribute(this.cells.get("clocks").parentElement, "title", times.lines.slice(0, 12).join("\n"));
    fillList(this.clocks.lines, times.lines, () => make("li"), setText);
  }

  /** @param {[string, string, number][]} found @param {boolean} known */
  #drops(found, known) {
    const total = found.reduce((sum, [, , count]) => sum + count, 0);
    setText(this.drops.text, known ? (total ? `▲ ${format.count(total)}` : "0") : format.UNKNOWN);
    setClass(this.drops.text, total ? "warn" : "");
    const lines = found.map(
      ([door, reason, count]) => `${door}: ${format.count(count)} ${reason.replaceAll("_", " ")}`,
    );
    fillList(this.drops.lines, lines.length ? lines : ["Nothing was refused or dropped."], () => make("li"), setText);
  }
}
