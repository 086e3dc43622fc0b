// @ts-check
/** The last messages, the newest first; what one has in it is shown when it is opened. */

import { make } from "/dashboard/dom.js";
import { clock, count } from "/dashboard/format.js";
import { Code } from "./blocks.js";
import { pretty } from "./json.js";

/** So many are kept, and so many characters of them. */
const MOST = 200;
const MOST_CHARACTERS = 8e6;
/** So much of one is shown [characters]. */
const MOST_SHOWN = 100000;
/** So much of one is told in its line [characters]. */
const MOST_TOLD = 120;

/** @typedef {{type: string, text: string, content: any, bytes: number, at: number, sent: boolean}} Message */

export class MessageList {
  /** @type {Message[]} */
  #waiting = [];
  #characters = 0;
  /** @type {Map<Element, Message>} */
  #shown = new Map();
  paused = false;
  /** Those that came meanwhile. */
  missed = 0;
  /** @type {Set<string>} types that are not shown */
  hidden = new Set();

  /** @param {() => void} opened told when a message is opened */
  constructor(opened) {
    this.opened = opened;
    this.element = make("ol", { class: "messages", "aria-label": "Messages, the newest first", tabindex: "0" });
  }

  /** @param {Message} message */
  add(message) {
    if (this.hidden.has(message.type)) return;
    if (this.paused && !message.sent) {
      this.missed += 1;
      return;
    }
    this.#waiting.push(message);
    if (this.#waiting.length > MOST) this.#waiting.shift();
  }

  /** Show what has come since the last time. */
  draw() {
    if (this.#waiting.length === 0) return;
    const rows = this.#waiting.map((message) => this.#row(message)).reverse();
    this.#waiting = [];
    this.element.prepend(...rows);
    while (
      this.element.children.length > MOST ||
      (this.#characters > MOST_CHARACTERS && this.element.children.length > 1)
    ) {
      this.#drop(this.element.lastElementChild);
    }
  }

  clear() {
    this.#waiting = [];
    this.missed = 0;
    while (this.element.lastElementChild) this.#drop(this.element.lastElementChild);
  }

  /** Show a type from now on, or none of it any more. @param {string} type @param {boolean} shown */
  show(type, shown) {
    if (shown) this.hidden.delete(type);
    else this.hidden.add(type);
    this.#waiting = this.#waiting.filter((message) => !this.hidden.has(message.type));
    for (const [row, message] of [...this.#shown]) if (this.hidden.has(message.type)) this.#drop(row);
  }

  /** @param {any} row */
  #drop(row) {
    this.#characters -= this.#shown.get(row)?.text.length ?? 0;
    this.#shown.delete(row);
    row.remove();
  }

  /** @param {Message} message */
  #row(message) {
    const { type, bytes, at, sent } = message;
    const about = make(
      "summary",
      {},
      make("span", { class: "at", text: `${clock(at)}.${String(Math.floor(at) % 1000).padStart(3, "0")}` }),
      make("span", {
        class: `method ${sent ? "to" : "from"}`,
        text: sent ? "↑" : "↓",
        role: "img",
        "aria-label": sent ? "sent" : "received",
      }),
      make("b", { text: type }),
      make("span", { class: "told", text: told(message) }),
      make("span", { class: "bytes", text: `${count(bytes)} B` }),
    );
    const details = make("details", {}, about);
    details.addEventListener("toggle", () => {
      if (!details.open) return;
      this.opened();
      if (details.children.length > 1) return;
      const code = new Code(type);
      code.show(
        message.content === undefined ? message.text : pretty(message.content),
        message.content !== undefined,
        MOST_SHOWN,
      );
      details.append(code.element);
    });
    const row = make("li", {}, details);
    row.dataset.type = type;
    this.#shown.set(row, message);
    this.#characters += message.text.length;
    return row;
  }
}

/** What a message is about, in a line. @param {Message} message */
function told({ content, text }) {
  if (content?.type === "telemetry_update" && Array.isArray(content.data)) {
    const cars = new Set(content.data.map((/** @type {any} */ { chassis }) => chassis));
    return `${many(content.data.length, "point")} of ${cars.size === 1 ? [...cars][0] : many(cars.size, "car")}, seq ${content.seq}`;
  }
  if (content?.type === "insight_update" && Array.isArray(content.data)) {
    return `${many(content.data.length, "result")}, ${many(content.gaps.length, "gap")}, ${many(content.insights.length, "insight")}`;
  }
  if (content?.type === "snapshot" && Array.isArray(content.data))
    return `${many(content.data.length, "car")}, seq ${content.seq}`;
  return text.length > MOST_TOLD ? `${text.slice(0, MOST_TOLD)} …` : text;
}

/** @param {number} number @param {string} what */
const many = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
