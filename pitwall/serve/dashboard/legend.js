// @ts-check
/** What the lines of the traces are, and what is to be said of them: for those who see colours, and for all others. */

import { deltaWords } from "./compare.js";
import { fillList, make, setAttribute, setClass, setText } from "./dom.js";
import { look } from "./panels.js";

const SVG = "http://www.w3.org/2000/svg";
/** Plotly's dashes, as SVG has them. @type {Record<string, string | null>} */
const DASHES = { solid: null, dot: "2 3", dash: "8 4", dashdot: "7 3 2 3" };
const UNPLACED = "No lap distance has come, so there is nothing to draw over it; over time there is.";

export class Legend {
  constructor() {
    this.key = make("ul", { class: "key" });
    this.summary = make("p", { class: "summary" });
    this.element = make("div", { class: "about-lines" }, this.key, this.summary);
  }

  /**
   * @param {import("./compare.js").Comparison} comparison @param {import("./race.js").Car[]} cars
   * @param {string} x what they are drawn over
   */
  show({ drawn, deltas, notes }, cars, x) {
    fillList(this.key, drawn, swatch, (item, one) => {
      setClass(item, `key-${one.letter}`);
      const { dash, width } = look(one, {});
      const line = item.firstElementChild.firstElementChild;
      setAttribute(line, "stroke-dasharray", DASHES[dash]);
      setAttribute(line, "stroke-width", String(width + 0.3));
      setText(item.lastElementChild, `${one.letter} ${cars["AB".indexOf(one.letter)]?.chassis ?? ""} ${one.name}`);
    });
    const unplaced = x === "distance" && drawn.length > 0 && !drawn.some(({ trace }) => trace.placed);
    const words = deltas.map((one) => deltaWords(one, cars)).filter(Boolean);
    const said = [...words.map((each) => `${each}.`), ...notes, ...(unplaced ? [UNPLACED] : [])].join(" ");
    setText(this.summary, said);
    this.summary.hidden = said === "";
  }
}

/** A line of the key, with a piece of its line. */
function swatch() {
  const svg = document.createElementNS(SVG, "svg");
  setAttribute(svg, "viewBox", "0 0 30 8");
  setAttribute(svg, "aria-hidden", "true");
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: "0", x2: "30", y1: "4", y2: "4" })) setAttribute(line, name, value);
  svg.append(line);
  return make("li", {}, svg, make("span"));
}
