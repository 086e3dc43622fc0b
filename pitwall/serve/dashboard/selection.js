// @ts-check
/** Which cars are selected: none, one, or one and another that it is compared with. */

/**
 * What is selected after a car was chosen: the first is selected, the second compared, a further one
 * takes the place of the second, and one that was selected is not any more.
 * @param {string[]} selected @param {string} id @returns {string[]}
 */
export function choose(selected, id) {
  if (selected.includes(id)) return selected.filter((one) => one !== id);
  return selected.length === 0 ? [id] : [selected[0], id];
}

/** "A", "B", or nothing. @param {string[]} selected @param {string} id */
export function letter(selected, id) {
  return ["A", "B"][selected.indexOf(id)] ?? "";
}
