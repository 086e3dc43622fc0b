// @ts-check
/** How the tires are, in the steps of docs/insights.md: "", "low", "medium", "high", "critical". */

import { known } from "./format.js";

const LOSS = [
  [0.3, "critical"],
  [0.15, "high"],
  [0.08, "medium"],
  [0.04, "low"],
];
const STRESS = [
  [140, "high"],
  [125, "medium"],
  [115, "low"],
];

/** @param {(string | number)[][]} steps @param {number} value */
function step(steps, value) {
  return String(steps.find(([least]) => value >= Number(least))?.[1] ?? "");
}

/** Of the loss of pace [s/lap], which is only sure where all of its interval is one. @param {any} result */
export function lossLevel(result) {
  const loss = result?.predicted_loss_per_lap_seconds;
  return known(loss) && result.lossInterval?.[0] > 0 ? step(LOSS, loss) : "";
}

/** Of the stress index, 100 for the median of the field. @param {number | null | undefined} index */
export function stressLevel(index) {
  return known(index) ? step(STRESS, index) : "";
}

/** The loss [s/lap], or null where it rests on no lap. @param {any} result @returns {number | null} */
export function loss(result) {
  return result?.paceLaps > 0 ? result.predicted_loss_per_lap_seconds : null;
}
