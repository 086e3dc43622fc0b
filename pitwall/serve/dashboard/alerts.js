// @ts-check
/**
 * Tells what has become severe, by a tone or a notification of the system, for those who want that.
 *
 * What stood when the page was opened is not told, nor what comes once more after a
 * connection was lost; of several at a time the most severe one is, and how many more there are.
 */

import { severity, subjectOf } from "./standing.js";

/** From one alert to the next at least [ms]. */
export const LEAST_MS = 5000;
/** Insights that are known again when they come once more. */
const MOST_IDS = 4000;

/** @typedef {"sound" | "notify"} Way */

export class Alerts {
  /**
   * @param {import("./settings.js").Settings} settings
   * @param {{wanted: (insight: any) => boolean, ways: Record<Way, (insight: any, more: number) => void>}} about
   *   wanted: whether anybody looks at that car
   */
  constructor(settings, { wanted, ways }) {
    this.settings = settings;
    this.wanted = wanted;
    this.ways = ways;
    /** How severe each subject is that stands. @type {Map<string, number>} */
    this.stands = new Map();
    /** @type {Set<string>} */
    this.ids = new Set();
    /** What is to be told by each way as soon as that may be. @type {Record<Way, any[]>} */
    this.waiting = { sound: [], notify: [] };
    this.toldAt = { sound: -Infinity, notify: -Infinity };
    /** @type {Partial<Record<Way, ReturnType<typeof setTimeout>>>} */
    this.timers = {};
  }

  /** The server has started anew, and so have the ids. */
  clear() {
    this.stands.clear();
    this.ids.clear();
  }

  /** What stands already. @param {any[]} insights oldest first */
  know(insights) {
    for (const insight of insights) this.#note(insight);
  }

  /** What has just been said. @param {any[]} insights oldest first */
  tell(insights) {
    for (const insight of insights) {
      if (!this.#note(insight) || !this.wanted(insight)) continue;
      for (const way of /** @type {Way[]} */ (["sound", "notify"])) {
        const least = { sound: this.settings.soundLeast, notify: this.settings.notifyLeast }[way];
        if (this.settings[way] && severity(insight) >= severity({ severity: least })) this.#wait(way, insight);
      }
    }
  }

  /** Whether it is new and more severe than what stood. @param {any} insight */
  #note(insight) {
    if (this.ids.has(insight.id)) return false;
    this.ids.add(insight.id);
    if (this.ids.size > MOST_IDS) this.ids.delete(this.ids.values().next().value ?? "");
    const subject = subjectOf(insight);
    const before = this.stands.get(subject) ?? -1;
    if (insight.state === "cleared") {
      this.stands.delete(subject);
      return false;
    }
    this.stands.set(subject, severity(insight));
    return severity(insight) > before;
  }

  /** @param {Way} way @param {any} insight */
  #wait(way, insight) {
    this.waiting[way].push(insight);
    if (this.timers[way] !== undefined) return;
    const left = Math.max(this.toldAt[way] + LEAST_MS - performance.now(), 0);
    this.timers[way] = setTimeout(() => this.#now(way), left);
  }

  /** @param {Way} way */
  #now(way) {
    delete this.timers[way];
    // What is over meanwhile need not be told.
    const told = this.waiting[way].filter((insight) => this.stands.has(subjectOf(insight)));
    this.waiting[way] = [];
    if (!told.length || !this.settings[way]) return;
    this.toldAt[way] = performance.now();
    told.sort((one, other) => severity(other) - severity(one));
    this.ways[way](told[0], told.length - 1);
  }
}
