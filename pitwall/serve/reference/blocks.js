// @ts-check
/** Code to read and to copy, members of objects, and other parts that stand in many places. */

import { make, setText } from "/dashboard/dom.js";
import { coloured, pretty } from "./json.js";

/** For how long a button says what it did [ms]. */
const SAID_MS = 1500;

/** @typedef {import("./spec.js").Spec} Spec */

/**
 * A button that copies a text.
 * @param {() => string} text @param {() => Element} shown what is selected where a page may not copy
 * @param {string} what
 */
export function copyButton(text, shown, what) {
  const button = make("button", { type: "button", class: "small", text: "Copy", "aria-label": `Copy ${what}` });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      setText(button, "Copied");
    } catch {
      // Without HTTPS a page may not: then it is selected, to be copied by hand.
      getSelection()?.selectAllChildren(shown());
      setText(button, "Selected");
    }
    setTimeout(() => setText(button, "Copy"), SAID_MS);
  });
  return button;
}

/** A text in a frame, with a title and a button that copies it; show() puts in another one. */
export class Code {
  /** @param {string} title @param {string} text @param {boolean} json whether it is to be coloured as JSON */
  constructor(title, text = "", json = false) {
    this.text = text;
    this.code = make("code");
    this.pre = make("pre", { tabindex: "0", "aria-label": title }, this.code);
    const copy = copyButton(
      () => this.text,
      () => this.code,
      title,
    );
    this.element = make(
      "div",
      { class: "code" },
      make("p", { class: "code-title" }, make("span", { text: title }), copy),
      this.pre,
    );
    this.show(text, json);
  }

  /** @param {string} text @param {boolean} json @param {number} most characters that are shown; all are copied */
  show(text, json = false, most = Infinity) {
    this.text = text;
    const shown = text.length > most ? `${text.slice(0, most)}\n… and ${text.length - most} characters more` : text;
    this.code.replaceChildren(json ? coloured(shown) : shown);
  }
}

/** An example, as JSON. @param {string} title @param {any} value */
export const example = (title, value) => new Code(title, pretty(value), true).element;

/**
 * What can be opened, filled when it is.
 * @param {string | Node} title @param {() => Node[]} fill @param {boolean} open @param {string} name
 */
export function opened(title, fill, open = false, name = "") {
  const found = make("details", { class: name || null }, make("summary", {}, title));
  let filled = false;
  const once = () => {
    if (filled) return;
    filled = true;
    found.append(...fill());
  };
  if (open) {
    once();
    found.open = true;
  }
  found.addEventListener("toggle", () => found.open && once());
  // Before it is seen, so that nothing jumps.
  found.firstElementChild.addEventListener("click", once);
  return found;
}

/** The members of an object. @param {Spec} spec @param {any} object @param {boolean} sent whether clients send it */
export function members(spec, object, sent = false) {
  const required = new Set(object.required ?? []);
  const rows = Object.entries(object.properties ?? {}).map(([name, schema]) =>
    member(spec, name, schema, { note: required.has(name) ? "" : sent ? "optional" : "may be missing" }),
  );
  const others = object.additionalProperties;
  if (typeof others === "object") rows.push(member(spec, "any other name", others, { other: true }));
  return make("ul", { class: "members" }, ...rows);
}

/**
 * One member, or a parameter.
 * @param {Spec} spec @param {string} name @param {any} schema
 * @param {{note?: string, what?: string, other?: boolean}} about
 */
export function member(spec, name, schema, { note = "", what = "", other = false } = {}) {
  const unit = spec.unit(schema);
  const limits = spec.limits(schema);
  const said = make("p", { class: "kind" }, make("span", { text: spec.kind(schema) }));
  if (unit) said.append(make("span", { class: "unit", text: unit }));
  for (const limit of limits) said.append(make("span", { class: "limit", text: limit }));
  const title = make("p", { class: "name" }, other ? make("em", { text: name }) : make("code", { text: name }));
  if (note) title.append(make("small", { text: note }));
  const row = make("li", {}, title, make("div", { class: "about-member" }, said));
  const words = what || spec.what(schema);
  if (words) row.lastElementChild.append(make("p", { text: words }));
  row.append(...spec.objects(schema).map((each) => inner(spec, each)));
  return row;
}

/** The members of an object that is part of another one, to be opened. @param {Spec} spec @param {any} object */
function inner(spec, object) {
  const count = Object.keys(object.properties).length;
  const title = `${object.title ?? "object"}: ${count} ${count === 1 ? "member" : "members"}`;
  return opened(title, () => [...paragraphs(object.description ?? ""), members(spec, object)], false, "inner");
}

/** A schema, whatever it is. @param {Spec} spec @param {any} schema @param {boolean} sent @returns {Node[]} */
export function form(spec, schema, sent = false) {
  const found = spec.resolve(schema);
  if (found.properties) return [members(spec, found, sent)];
  const kind = make("p", { class: "kind" }, make("span", { text: spec.kind(schema) }));
  const words = found.description ? [make("p", { text: found.description })] : [];
  return [kind, ...words, ...spec.objects(schema).map((each) => inner(spec, each))];
}

/**
 * A text in which an empty line begins a paragraph, "- " a point of a list, and `…` is code; all else stands as it is.
 * @param {string} text @returns {HTMLElement[]}
 */
export function paragraphs(text) {
  return text
    .split(/\n{2,}/)
    .filter(Boolean)
    .map((part) => {
      if (!part.startsWith("- ")) return make("p", {}, ...inlined(part));
      return make(
        "ul",
        { class: "points" },
        ...part
          .split(/\n?^- /m)
          .filter(Boolean)
          .map((each) => make("li", {}, ...inlined(each))),
      );
    });
}

/** @param {string} text @returns {Node[]} */
function inlined(text) {
  return text
    .split("`")
    .map((part, index) => (index % 2 ? make("code", { text: part }) : document.createTextNode(part)));
}

/** A table of two columns. @param {string[]} titles @param {[string, string][]} rows */
export function table(titles, rows) {
  return make(
    "table",
    { class: "codes" },
    make("thead", {}, make("tr", {}, ...titles.map((text) => make("th", { scope: "col", text })))),
    make(
      "tbody",
      {},
      ...rows.map(([code, what]) =>
        make("tr", {}, make("th", { scope: "row", text: code }), make("td", { text: what })),
      ),
    ),
  );
}

/**
 * A heading that can be linked to.
 * @param {string} tag @param {string} id @param {...(Node | string)} content
 */
export function heading(tag, id, ...content) {
  return make(
    tag,
    {},
    ...content,
    make("a", { class: "anchor", href: `#${id}`, "aria-label": `Link to ${id}`, text: "#" }),
  );
}

/**
 * A piece of the page with an address of its own.
 * @param {string} id @param {string} label @param {...(Node | string)} content
 */
export const piece = (id, label, ...content) =>
  make("article", { id, "aria-label": label, class: "piece" }, ...content);
