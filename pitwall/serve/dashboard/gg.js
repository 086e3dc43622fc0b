// @ts-check
/** The g-g diagram: lateral over longitudinal acceleration, of the part of the laps that is seen. */

import { make, setText } from "./dom.js";
import { plain } from "./format.js";
import { along, look, USUAL_EM } from "./panels.js";

/** @typedef {import("./compare.js").Drawn} Drawn */
/** @typedef {import("./panels.js").Seen} Seen */

const CIRCLES_G = [0.5, 1, 1.5];
/** Dots of a line at most, for each is an element of its own. */
const MOST_DOTS = 260;
const LATERAL = "accy_can";
const LONGITUDINAL = "accx_can";
/** By the letter of the car; what it is held against is open. */
const SYMBOLS = /** @type {Record<string, string>} */ ({ A: "circle", B: "diamond" });

export class GG {
  constructor() {
    this.plot = make("div", { class: "gg-plot", role: "img", "aria-label": "g-g diagram; its greatest values are below" });
    this.most = make("ul", { class: "gg-most" });
    this.element = make("div", { class: "gg" }, make("h3", { text: "g-g" }), this.plot, this.most);
  }

  /** @param {any} plotly @param {Drawn[]} all @param {Seen} seen */
  draw(plotly, all, seen) {
    const drawn = all.filter(({ trace }) => trace.values(LATERAL) !== null && trace.values(LONGITUDINAL) !== null);
    this.element.hidden = drawn.length === 0;
    if (drawn.length === 0) return;
    const dots = drawn.map((one) => within(one, seen));
    const side = this.plot.clientWidth;
    if (side < 60) return;
    plotly.react(this.plot, figure(drawn, dots, seen), layout(dots, seen, side), { displayModeBar: false, staticPlot: true });
    while (this.most.children.length > drawn.length) this.most.lastElementChild.remove();
    while (this.most.children.length < drawn.length) this.most.append(make("li"));
    drawn.forEach((one, index) => setText(this.most.children[index], `${one.letter} ${one.short}: ${greatest(one, seen)}`));
  }
}

/** The lateral and longitudinal g of a lap, where it is seen. @param {Drawn} one @param {Seen} seen @returns {number[][]} */
export function within({ trace }, { x, range }) {
  const [lateral, longitudinal] = [LATERAL, LONGITUDINAL].map((name) => /** @type {Float32Array} */ (trace.values(name)));
  const xs = along(trace, x);
  /** @type {number[][]} */
  const found = [];
  for (let index = 0; index < xs.length; index += 1) {
    if (!(xs[index] >= range[0] && xs[index] <= range[1])) continue;
    if (Number.isNaN(lateral[index]) || Number.isNaN(longitudinal[index])) continue;
    found.push([lateral[index], longitudinal[index]]);
  }
  return found;
}

/**
 * The greatest of both in the part that is seen, peaks between its samples included.
 * @param {Drawn} one @param {Seen} seen
 */
export function greatest({ trace }, { x, range }) {
  const xs = along(trace, x);
  const within = (/** @type {number} */ index) => xs[index] >= range[0] && xs[index] <= range[1];
  const [lateral, longitudinal] = [LATERAL, LONGITUDINAL].map((name) => trace.extremes(name, within));
  const figures = [
    ["lateral", lateral && Math.max(-lateral[0], lateral[1])],
    ["braking", longitudinal && Math.max(-longitudinal[0], 0)],
    ["driving", longitudinal && Math.max(longitudinal[1], 0)],
  ];
  return figures.map(([name, value]) => `${name} ${plain(/** @type {number | null} */ (value), 2)} g`).join(", ");
}

/** @param {Drawn[]} drawn @param {number[][][]} dots @param {Seen} seen @returns {any[]} */
function figure(drawn, dots, { colours, em }) {
  const found = drawn.map((one, index) => {
    const step = Math.max(Math.ceil(dots[index].length / MOST_DOTS), 1);
    const kept = dots[index].filter((_, at) => at % step === 0);
    const { color } = look(one, colours);
    return {
      type: "scatter",
      mode: "markers",
      hoverinfo: "skip",
      x: kept.map(([lateral]) => lateral),
      y: kept.map(([, longitudinal]) => longitudinal),
      opacity: one.reference ? 0.7 : 0.85,
      marker: {
        color,
        size: ((one.reference ? 4.5 : 4) * em) / USUAL_EM,
        symbol: `${SYMBOLS[one.letter]}${one.reference ? "-open" : ""}`,
        line: { width: 1, color },
      },
    };
  });
  return found.reverse();
}

/**
 * Equal axes: the plot is a square, and both show the same.
 * @param {number[][][]} dots @param {Seen} seen @param {number} side [px]
 */
function layout(dots, { colours, em }, side) {
  const farthest = dots.flat(2).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const reach = Math.max(1.6, Math.ceil(farthest * 10 + 0.5) / 10);
  const axis = {
    range: [-reach, reach],
    color: colours.muted,
    gridcolor: "rgba(0,0,0,0)",
    zerolinecolor: colours.track,
    tickfont: { size: 0.78 * em },
    dtick: reach > 3 ? 1 : 0.5,
    tickformat: ".1~f",
  };
  const title = (/** @type {string} */ text) => ({ text, standoff: 0.3 * em, font: { size: 0.85 * em } });
  return {
    width: side,
    height: side,
    margin: { l: 3.2 * em, r: 0.4 * em, t: 0.4 * em, b: 3.2 * em },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "inherit", color: colours.text, size: 0.85 * em },
    showlegend: false,
    hovermode: false,
    xaxis: { ...axis, title: title("Lateral (g), + to the left") },
    yaxis: { ...axis, title: title("Longitudinal (g), + driving") },
    shapes: CIRCLES_G.map((radius) => ({
      ...{ type: "circle", xref: "x", yref: "y", x0: -radius, x1: radius, y0: -radius, y1: radius, layer: "below" },
      line: { color: colours.muted, width: 1, dash: "dot" },
    })),
  };
}
