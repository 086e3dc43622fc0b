// @ts-check
/** JSON for people. */

import { make } from "/dashboard/dom.js";

/** A longer text is not coloured, for that many elements make a page slow [characters]. */
const MOST_COLOURED = 60000;
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * JSON in which what is short stands in one line.
 * @param {any} value @param {number} width of a line [characters] @param {number} indent
 * @param {number} before what stands before it [characters]
 * @returns {string}
 */
export function pretty(value, width = 72, indent = 0, before = 0) {
  const flat = JSON.stringify(value);
  if (typeof value !== "object" || value === null) return flat;
  const spaced = flat.length + indent + before > width ? flat : inLine(value);
  if (spaced.length + indent + before <= width) return spaced;
  const inner = " ".repeat(indent + 2);
  const list = Array.isArray(value);
  const parts = list
    ? value.map((each) => pretty(each, width, indent + 2))
    : Object.entries(value).map(([name, each]) => {
        const label = `${JSON.stringify(name)}: `;
        return label + pretty(each, width, indent + 2, label.length);
      });
  const scalars = list && value.every((each) => typeof each !== "object" || each === null);
  const body = scalars ? filled(parts, width - indent - 2).join(`\n${inner}`) : parts.join(`,\n${inner}`);
  return `${list ? "[" : "{"}\n${inner}${body}\n${" ".repeat(indent)}${list ? "]" : "}"}`;
}

/** @param {any} value @returns {string} */
function inLine(value) {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(inLine).join(", ")}]`;
  const parts = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${inLine(each)}`);
  return `{${parts.join(", ")}}`;
}

/** As many parts in a line as there is room for. @param {string[]} parts @param {number} width */
function filled(parts, width) {
  const lines = [""];
  parts.forEach((part, index) => {
    const said = index < parts.length - 1 ? `${part},` : part;
    const last = lines.length - 1;
    if (lines[last] && lines[last].length + 1 + said.length > width) lines.push(said);
    else lines[last] = lines[last] ? `${lines[last]} ${said}` : said;
  });
  return lines;
}

/** A text of JSON with names, texts and numbers told apart. @param {string} text @returns {Node} */
export function coloured(text) {
  const found = document.createDocumentFragment();
  if (text.length > MOST_COLOURED) {
    found.append(text);
    return found;
  }
  let end = 0;
  for (const token of text.matchAll(TOKEN)) {
    const kind = token[2] !== undefined ? "j-name" : token[1] !== undefined ? "j-text" : "j-value";
    const said = token[1] ?? token[0];
    found.append(text.slice(end, token.index), make("span", { class: kind, text: said }));
    end = token.index + said.length;
  }
  found.append(text.slice(end));
  return found;
}
