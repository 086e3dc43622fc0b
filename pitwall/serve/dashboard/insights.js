// @ts-check
/** The insights: what is to be said of the race, the most severe first, and what each rests on. */

import { fillList, make, setAttribute, setClass, setText } from "./dom.js";
import * as format from "./format.js";
import { SEVERITIES, subjectOf, upFrom } from "./standing.js";

/** Lines that are shown at most. */
const MOST = 60;
const GLYPHS = { low: "·", medium: "◆", high: "▲", critical: "■" };
const VERDICTS = {
  confirmed: "the points say the same",
  gone: "the points are not kept any more",
  contradicted: "the points say something else",
};

export class Insights {
  /**
   * @param {HTMLElement} section @param {(path: string) => Promise<any>} ask
   * @param {{severity: string, choose: (severity: string) => void}} about
   */
  constructor(section, ask, { severity, choose }) {
    this.ask = ask;
    /** The subject whose evidence is shown. */
    this.open = "";
    /** @type {any} */
    this.evidence = null;
    this.count = make("span", { class: "about" });
    this.list = make("ul", { class: "list" });
    this.none = make("p", { class: "none", text: "Nothing to say." });
    const least = make("select", { id: "severity", onchange: () => choose(least.value) });
    for (const name of SEVERITIES) least.append(make("option", { value: name, text: upFrom(name) }));
    least.value = severity;
    const label = make("label", { for: "severity", class: "sr", text: "Severity" });
    section.append(
      make("header", {}, make("h2", { text: "Insights" }), this.count, label, least),
      make(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-label": "List of insights" },
        this.list,
        this.none,
      ),
    );
  }

  /** @param {any[]} insights as they are to be shown @param {boolean} named whether each says its car */
  show(insights, named = true) {
    this.shown = insights;
    const stand = insights.filter((insight) => insight.state !== "cleared").length;
    setText(this.count, `${stand} standing`);
    this.none.hidden = insights.length > 0;
    fillList(
      this.list,
      insights.slice(0, MOST),
      () => this.#line(),
      (line, insight) => this.#fill(line, insight, named),
    );
  }

  #line() {
    const button = make("button", { type: "button", class: "line" });
    for (const name of ["severity", "car", "message", "at"]) button.append(make("span", { class: name }));
    const line = make("li", {}, button, make("div", { class: "evidence", hidden: true }));
    button.addEventListener("click", () => this.#toggle(line.subject));
    return line;
  }

  /** @param {any} line @param {any} insight @param {boolean} named */
  #fill(line, insight, named) {
    line.subject = subjectOf(insight);
    const open = line.subject === this.open;
    const [button, evidence] = line.children;
    const [severity, car, message, at] = button.children;
    setClass(line, `${insight.severity} ${insight.state}`);
    setText(severity, `${GLYPHS[/** @type {"low"} */ (insight.severity)] ?? "·"} ${insight.severity}`);
    setText(car, named ? insight.chassis : "");
    setText(message, insight.message);
    setText(at, `${insight.state === "raised" ? "" : `${insight.state} `}${format.clock(insight.timestamp)}`);
    setAttribute(button, "aria-expanded", String(open));
    if (evidence.hidden === open) evidence.hidden = !open;
    if (open && evidence.of !== this.evidence) {
      evidence.of = this.evidence;
      evidence.replaceChildren(...proof(this.evidence));
    }
  }

  /** @param {string} subject */
  async #toggle(subject) {
    this.open = subject === this.open ? "" : subject;
    this.evidence = null;
    const insight = this.shown?.find((one) => subjectOf(one) === this.open);
    this.show(this.shown ?? []);
    if (insight === undefined) return;
    let evidence;
    try {
      evidence = await this.ask(`/api/insights/${encodeURIComponent(insight.id)}`);
    } catch (error) {
      evidence = { error: error instanceof Error ? error.message : String(error) };
    }
    if (subject !== this.open) return;
    this.evidence = evidence;
    this.show(this.shown ?? []);
  }
}

/** The name of an input, without the unit, which stands beside it. @param {string} name @param {string} unit */
export function label(name, unit) {
  return (name.endsWith(`_${unit}`) ? name.slice(0, -unit.length - 1) : name).replaceAll("_", " ");
}

/** What an insight rests on. @param {any} evidence the answer of /api/insights/:id @returns {Node[]} */
function proof(evidence) {
  if (evidence === null) return [make("p", { text: "Asking …" })];
  if (evidence.error !== undefined) return [make("p", { text: `Not to be had: ${evidence.error}` })];
  const { insight, recomputed, ring } = evidence;
  const rows = Object.entries(insight.inputs).map(([name, { value, unit }]) => {
    const figure = make("td", { text: format.scalar(value) });
    return make(
      "tr",
      {},
      make("th", { scope: "row", text: label(name, unit) }),
      figure,
      make("td", { text: unit === "boolean" ? "" : unit }),
    );
  });
  const verdict = VERDICTS[/** @type {"gone"} */ (ring.verdict)] ?? ring.verdict;
  return [
    make(
      "p",
      {},
      "By ",
      make("code", { text: insight.formula }),
      ` from points ${format.count(insight.first_seq)} to ${format.count(insight.last_seq)}.`,
    ),
    make("table", {}, make("tbody", {}, ...rows)),
    make("p", {
      text: `${recomputed.agrees ? "✓ Computed again: the same" : "✕ Computed again: something else"}; ${verdict}.`,
    }),
  ];
}
