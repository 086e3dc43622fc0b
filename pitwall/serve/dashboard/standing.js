// @ts-check
/** The insights: what stands, by severity, and what is over. */

export const SEVERITIES = ["low", "medium", "high", "critical"];
/** What a choice of the least severity says. @param {string} name */
export const upFrom = (name) => ({ low: "all", critical: name })[name] ?? `${name} up`;
/** Of those that are over, so many are kept. */
const MOST_CLEARED = 60;

/** What is said again and again of the same thing. @param {any} insight */
export const subjectOf = (insight) =>
  [insight.track, insight.chassis, insight.formula, insight.data?.subject ?? ""].join("\n");

/** How severe; one that is not known is as the least. @param {any} insight */
export const severity = (insight) => Math.max(SEVERITIES.indexOf(insight.severity), 0);

export class Standing {
  constructor() {
    /** The last that was said, by its subject. @type {Map<string, any>} */
    this.said = new Map();
  }

  clear() {
    this.said.clear();
  }

  /** @param {any} insight */
  add(insight) {
    const subject = subjectOf(insight);
    this.said.delete(subject); // the newest come last
    this.said.set(subject, insight);
    const over = [...this.said].filter(([, said]) => said.state === "cleared");
    over.slice(0, Math.max(over.length - MOST_CLEARED, 0)).forEach(([old]) => this.said.delete(old));
  }

  /**
   * Those of a track that are severe enough: what stands, the most severe first, then what is over, the newest first.
   * @param {string | null} track @param {string} least
   */
  list(track, least) {
    const wanted = [...this.said.values()]
      .reverse()
      .filter((insight) => insight.track === track && severity(insight) >= SEVERITIES.indexOf(least));
    const stands = wanted.filter((insight) => insight.state !== "cleared");
    const over = wanted.filter((insight) => insight.state === "cleared");
    stands.sort((one, other) => severity(other) - severity(one));
    return [...stands, ...over];
  }
}
