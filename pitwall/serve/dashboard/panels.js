// @ts-check
/** The panels of the traces: what there is, and as what Plotly is told of it. */

import * as channels from "./channels.js";
import { line, thin } from "./curves.js";
import { CHANNELS } from "./trace.js";

/** @typedef {import("./compare.js").Comparison} Comparison */
/** @typedef {import("./compare.js").Drawn} Drawn */
/** @typedef {{key: string, title: string, unit: string}} Panel */
/** Of the theme. @typedef {Record<string, string>} Colours */
/**
 * What is seen: "distance" or "time", from where to where, and how large all is [px].
 * @typedef {{x: string, range: number[], width: number, height: number, em: number, units: string, colours: Colours}} Seen
 */

export const DELTA = "delta";
/** Sent for the same thing: the pedal is wanted, and where there is none the blade. */
const INSTEAD = new Map([["ath", "aps"]]);
const LEAST_PANEL_EM = 3.4;
/** Letters of a usual screen [px]. */
export const USUAL_EM = 14;
/** @type {Record<string, string>} */
const XS = { distance: "Lap distance (m)", time: "Time since the line (s)" };

/** The panels for what was sent. @param {Comparison} comparison @param {string} units @returns {Panel[]} */
export function panelsOf({ drawn, deltas }, units) {
  const sent = new Set(drawn.flatMap(({ trace }) => trace.channels));
  const shown = CHANNELS.filter((name) => sent.has(name) && !sent.has(INSTEAD.get(name) ?? ""));
  const found = shown.map((key) => {
    const [title, unit] = channels.title(key, units);
    return { key, title, unit };
  });
  return deltas.length ? [{ key: DELTA, title: "Delta", unit: "s" }, ...found] : found;
}

/** The height that panels want at least [px]. @param {number} count @param {number} em */
export const leastHeight = (count, em) => count * LEAST_PANEL_EM * em + margins(em).t + margins(em).b;

/** @param {number} em */
export const margins = (em) => ({ l: 3.4 * em, r: 0.9 * em, t: 1.2 * em, b: 2.6 * em });

/**
 * Where each panel's title begins, and its plot, from the top [px].
 * @param {number} count @param {number} height @param {number} em
 */
export function places(count, height, em) {
  const { t, b } = margins(em);
  const each = (height - t - b) / count;
  return Array.from({ length: count }, (_, index) => {
    const top = t + index * each;
    return { top, from: top + 1.25 * em, to: top + each - 0.35 * em };
  });
}

/**
 * What a line looks like: by colour, by dash and by width.
 * @param {Drawn} one @param {Colours} colours @param {number} [em]
 */
export function look({ letter, reference }, colours, em = USUAL_EM) {
  const dash = letter === "A" ? (reference ? "dot" : "solid") : reference ? "dashdot" : "dash";
  return { color: letter === "A" ? colours.accent : colours.compare, dash, width: ((reference ? 1.3 : 1.9) * em) / USUAL_EM };
}

/** Where samples of a lap lie. @param {import("./trace.js").Trace} trace @param {string} x @returns {Float32Array} */
export const along = (trace, x) => (x === "time" ? trace.times : trace.distances);

/**
 * The values of a channel in the units that are shown.
 * @param {Float32Array} values @param {string} key @param {string} units
 */
export function shownValues(values, key, units) {
  return key === "speed_kmh" ? values.map((kmh) => channels.speed(kmh, units)) : values;
}

/** The lines for Plotly. @param {Panel[]} panels @param {Comparison} comparison @param {Seen} seen @returns {any[]} */
export function lines(panels, { drawn, deltas }, seen) {
  return panels.flatMap(({ key }, index) => {
    const about = (/** @type {Drawn} */ one, /** @type {import("./curves.js").Line} */ whole) => ({
      ...thin(whole, seen.range[0], seen.range[1], Math.max(Math.round(seen.width), 1)),
      type: "scatter",
      mode: "lines",
      hoverinfo: "skip",
      xaxis: "x",
      yaxis: `y${index ? index + 1 : ""}`,
      opacity: one.reference ? 0.75 : 1,
      line: { ...look(one, seen.colours, seen.em), shape: channels.steps(key) ? "hv" : "linear" },
    });
    if (key === DELTA) {
      return deltas.flatMap(({ letter, line: whole }) => {
        const own = drawn.find((one) => one.letter === letter && !one.reference);
        return own === undefined ? [] : about(own, seen.x === "time" ? { x: timesAt(own, whole.x), y: whole.y } : whole);
      });
    }
    // What they are held against lies below, and dashes above what is solid.
    const order = [...drawn].sort((one, other) => Number(other.reference) - Number(one.reference));
    return order.flatMap((one) => {
      const values = one.trace.values(key);
      if (values === null) return [];
      return [about(one, line(along(one.trace, seen.x), shownValues(values, key, seen.units), one.trace.times))];
    });
  });
}

/** When the car was at these places. @param {Drawn} one @param {(number | null)[]} xs */
function timesAt(one, xs) {
  const { distances, times } = one.trace.path;
  let index = 0;
  return xs.map((x) => {
    while (index < distances.length - 1 && distances[index] < Number(x)) index += 1;
    return times[index];
  });
}

/**
 * The layout for Plotly.
 * @param {Panel[]} panels @param {Seen} seen @param {{x: number, text: string}[]} ends of sectors @param {string | false} drag
 * @returns {any}
 */
export function layout(panels, seen, ends, drag) {
  const { colours, em, height } = seen;
  const { t, b } = margins(em);
  const inner = height - t - b;
  const axis = {
    color: colours.muted,
    gridcolor: colours.line,
    linecolor: colours.line,
    zerolinecolor: colours.track,
    tickfont: { size: 0.72 * em },
    ticks: "",
    automargin: false,
  };
  /** @type {any} */
  const found = {
    width: seen.width,
    height,
    margin: margins(em),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "inherit", color: colours.text, size: 0.85 * em },
    showlegend: false,
    hovermode: false,
    dragmode: drag,
    xaxis: {
      ...axis,
      range: seen.range,
      title: { text: XS[seen.x], standoff: 0.4 * em, font: { size: 0.85 * em } },
      anchor: "free",
      position: 0,
      separatethousands: false,
      tickformat: "~r",
    },
    shapes: ends.map(({ x }) => ({
      type: "line",
      xref: "x",
      yref: "paper",
      x0: x,
      x1: x,
      y0: 0,
      y1: 1,
      line: { color: colours.muted, width: 1, dash: "dot" },
    })),
    annotations: ends.map(({ x, text }) => ({
      ...{ x, text, xref: "x", yref: "paper", y: 1, yanchor: "bottom", xanchor: "right", showarrow: false },
      font: { size: 0.75 * em, color: colours.muted },
    })),
  };
  places(panels.length, height, em).forEach(({ from, to }, index) => {
    found[`yaxis${index ? index + 1 : ""}`] = {
      ...axis,
      domain: [Math.max(1 - (to - t) / inner, 0), 1 - (from - t) / inner],
      fixedrange: true,
      nticks: Math.max(Math.floor((to - from) / (1.1 * em)), 3),
      anchor: "x",
      ...(panels[index].key === "gear" ? { tick0: 0, dtick: 2, tickformat: "d" } : {}),
      ...(panels[index].key === DELTA ? { tickformat: "+.3~f", zerolinecolor: colours.muted } : {}),
    };
  });
  return found;
}
