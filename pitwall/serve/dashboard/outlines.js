// @ts-check
/** The outlines of tracks, kept in this browser, so that a track is learnt once. */

import { Outline } from "./outline.js";

const NAME = "pitwall.outlines";
/** So many tracks are kept. */
const MOST = 8;

/** @returns {Map<string, Outline>} */
export function load() {
  const found = new Map();
  try {
    for (const [track, kept] of JSON.parse(localStorage.getItem(NAME) ?? "[]")) {
      const outline = Outline.from(kept);
      if (typeof track === "string" && outline?.ready) found.set(track, outline);
    }
  } catch {
    // As if there were none.
  }
  return found;
}

/** Keep those that are ready. @param {Map<string, Outline>} outlines */
export function save(outlines) {
  const ready = [...outlines].filter(([, outline]) => outline.ready).slice(-MOST);
  try {
    localStorage.setItem(NAME, JSON.stringify(ready.map(([track, outline]) => [track, outline.keep()])));
  } catch {
    // Then they are learnt anew.
  }
}
