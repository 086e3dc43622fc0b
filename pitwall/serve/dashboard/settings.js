// @ts-check
/** What the viewer has chosen, kept in this browser. */

const NAME = "pitwall.dashboard";
/** What may be chosen; the first is chosen at first. */
const CHOICES = {
  theme: ["system", "dark", "light"],
  units: ["km/h", "mph"],
  map: [true, false],
  insights: [true, false],
  sound: [false, true],
  soundLeast: ["high", "low", "medium", "critical"],
  notify: [false, true],
  notifyLeast: ["critical", "low", "medium", "high"],
};
/** So many hidden cars are kept. */
const MOST_HIDDEN = 512;

/**
 * @typedef {{theme: string, units: string, map: boolean, insights: boolean, track: string | null, severity: string,
 *   sound: boolean, soundLeast: string, notify: boolean, notifyLeast: string, hidden: string[]}} Settings
 */

/**
 * What a text that was kept says; what makes no sense is as at first.
 * @param {string | null} text @returns {Settings}
 */
export function parse(text) {
  /** @type {any} */
  let kept = null;
  try {
    kept = JSON.parse(text ?? "null");
  } catch {
    // As if there were none.
  }
  /** @type {any} */
  const found = {};
  for (const [name, choices] of Object.entries(CHOICES)) {
    found[name] = /** @type {any[]} */ (choices).includes(kept?.[name]) ? kept[name] : choices[0];
  }
  found.track = typeof kept?.track === "string" ? kept.track : null;
  found.severity = ["low", "medium", "high", "critical"].includes(kept?.severity) ? kept.severity : "low";
  const hidden = Array.isArray(kept?.hidden) ? kept.hidden : [];
  found.hidden = hidden.filter((/** @type {any} */ id) => typeof id === "string").slice(-MOST_HIDDEN);
  return found;
}

/** @returns {Settings} */
export function load() {
  try {
    return parse(localStorage.getItem(NAME));
  } catch {
    return parse(null); // a browser that keeps nothing
  }
}

/** @param {Settings} settings */
export function save(settings) {
  try {
    localStorage.setItem(NAME, JSON.stringify(settings));
  } catch {
    // Then they hold for this page alone.
  }
}
