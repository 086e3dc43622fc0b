// @ts-check
/** What is chosen of the traces: which laps, over what, and how much of them is seen. */

import { LAPS } from "./compare.js";
import { make, setAttribute } from "./dom.js";

/** @typedef {{lap: string, against: string, x: string}} Choice */

const NAME = "pitwall.traces";
const AGAINST = { best: "Best lap", last: "Last lap", other: "Car B" };
const XS = { distance: "Lap distance", time: "Time" };
const DRAGS = { zoom: "Zoom", pan: "Pan" };

/**
 * What is done when something is chosen.
 * @typedef {{choose: (choice: Partial<Choice>) => void, drag: (what: string) => void,
 *   zoom: (factor: number, way: number) => void, whole: () => void}} Actions
 */

export class TraceTools {
  /** @param {Actions} actions */
  constructor(actions) {
    this.lap = picker("Lap", LAPS, (lap) => actions.choose({ lap }));
    this.against = picker("Against", AGAINST, (against) => actions.choose({ against }));
    this.x = picker("Over", XS, (x) => actions.choose({ x }));
    this.drags = Object.entries(DRAGS).map(([drag, text]) =>
      button(text, `Drag: ${text.toLowerCase()}`, () => actions.drag(drag)),
    );
    this.whole = button("Whole lap", "Show the whole lap (double click)", actions.whole);
    const zooms = [
      button("−", "Zoom out", () => actions.zoom(2, 0)),
      button("+", "Zoom in", () => actions.zoom(0.5, 0)),
      button("‹", "Move left", () => actions.zoom(1, -0.25)),
      button("›", "Move right", () => actions.zoom(1, 0.25)),
    ];
    const buttons = { class: "buttons", role: "group", "aria-label": "Zoom" };
    this.element = make(
      "div",
      { class: "tools" },
      ...[this.lap, this.against, this.x].map(({ label }) => label),
      make("span", buttons, ...this.drags, ...zooms, this.whole),
    );
  }

  /** @param {Choice} choice @param {boolean} two cars @param {string | false} drag @param {boolean} zoomed */
  show(choice, two, drag, zoomed) {
    const other = this.against.select.options[2];
    other.hidden = other.disabled = !two;
    const against = two || choice.against !== "other" ? choice.against : "best";
    for (const [{ select }, value] of [[this.lap, choice.lap], [this.against, against], [this.x, choice.x]]) {
      if (select.value !== value) select.value = value;
    }
    Object.keys(DRAGS).forEach((name, index) => setAttribute(this.drags[index], "aria-pressed", String(name === drag)));
    this.whole.disabled = !zoomed;
  }
}

/** @param {string} text @param {string} label @param {() => void} onclick */
function button(text, label, onclick) {
  return make("button", { type: "button", text, "aria-label": label, title: label, onclick });
}

/** @param {string} name @param {Record<string, string>} values @param {(value: string) => void} chosen @returns {any} */
function picker(name, values, chosen) {
  const select = make("select", { onchange: () => chosen(select.value) });
  select.append(...Object.entries(values).map(([value, text]) => make("option", { value, text })));
  return { select, label: make("label", {}, make("span", { text: name }), select) };
}

/** What was chosen before, as far as it makes sense. @param {string | null} [text] @returns {Choice} */
export function load(text = read()) {
  /** @type {any} */
  let kept = {};
  try {
    kept = JSON.parse(text ?? "{}") ?? {};
  } catch {
    // Then it is as it is for everyone.
  }
  const one = (/** @type {any} */ value, /** @type {object} */ values, /** @type {string} */ usual) =>
    typeof value === "string" && Object.hasOwn(values, value) ? value : usual;
  const against = one(kept.against, AGAINST, "other");
  return { lap: one(kept.lap, LAPS, "this"), against, x: one(kept.x, XS, "distance") };
}

function read() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** @param {Choice} choice */
export function save(choice) {
  try {
    localStorage.setItem(NAME, JSON.stringify(choice));
  } catch {
    // Then it holds as long as the page.
  }
}
