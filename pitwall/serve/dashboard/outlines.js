// @ts-check
/** The outlines of tracks and their pit lanes, kept in this browser, so that a track is learnt once. */

import { Outline } from "./outline.js";
import { PitLane } from "./pitlane.js";

const NAME = "pitwall.outlines";
/** So many tracks are kept. */
const MOST = 8;

/** @returns {{outlines: Map<string, Outline>, lanes: Map<string, PitLane>}} */
export function load() {
  const [outlines, lanes] = [new Map(), new Map()];
  try {
    for (const [track, kept, lane] of JSON.parse(localStorage.getItem(NAME) ?? "[]")) {
      const outline = Outline.from(kept);
      if (typeof track !== "string" || !outline?.ready) continue;
      outlines.set(track, outline);
      lanes.set(track, new PitLane());
      lanes.get(track).take(lane);
    }
  } catch {
    // As if there were none.
  }
  return { outlines, lanes };
}

/**
 * Keep those that are ready.
 * @param {Map<string, Outline>} outlines @param {Map<string, PitLane>} lanes
 */
export function save(outlines, lanes) {
  const ready = [...outlines].filter(([, outline]) => outline.ready).slice(-MOST);
  try {
    const kept = ready.map(([track, outline]) => [track, outline.keep(), lanes.get(track)?.keep() ?? []]);
    localStorage.setItem(NAME, JSON.stringify(kept));
  } catch {
    // Then they are learnt anew.
  }
}
