// @ts-check
/** Elements that glide to their new places; at once for those who want no motion. */

const MS = 350;

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Change the places of elements. @param {HTMLElement[]} elements @param {() => void} change */
export function moving(elements, change) {
  if (still() || document.hidden) return change();
  const before = elements.map((element) => (element.isConnected ? element.offsetTop : null));
  change();
  elements.forEach((element, index) => {
    const from = before[index];
    if (from === null || from === element.offsetTop) return;
    const frames = [{ transform: `translateY(${from - element.offsetTop}px)` }, { transform: "none" }];
    element.animate(frames, { duration: MS, easing: "ease-out" });
  });
}
