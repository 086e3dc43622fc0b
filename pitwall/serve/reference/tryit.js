// @ts-check
/** Asks the server what an operation tells of, and shows the answer as it came. */

import { make, setText } from "/dashboard/dom.js";
import { count } from "/dashboard/format.js";
import { Code } from "./blocks.js";
import { pretty } from "./json.js";
import { curl } from "./lines.js";

/** So much of an answer is shown [characters]. */
const MOST_SHOWN = 200000;
/** What is posted stands in one line, where it is so short: then its line of curl is one too [characters]. */
const BODY_WIDTH = 120;
/** Nothing is a trial run for the server, which this page may share with a race that is on. */
const REAL = "What is sent here is real: every screen gets these points, and the car is in the race from then on.";

/**
 * @typedef {object} About
 * @property {string} path with its variables in braces
 * @property {string} method in capitals
 * @property {any} operation
 * @property {import("/dashboard/server.js").Server} server
 * @property {import("./lines.js").Place} place
 */

export class TryIt {
  /** @param {import("./spec.js").Spec} spec @param {About} about */
  constructor(spec, { path, method, operation, server, place }) {
    this.path = path;
    this.method = method;
    this.server = server;
    this.place = place;
    this.locked = (operation.security ?? []).length > 0;
    const id = operation.operationId;
    /** @type {[any, any][]} what is told of a parameter, its input */
    this.inputs = (operation.parameters ?? []).map((/** @type {any} */ told) => [told, input(spec, told, id)]);
    /** @type {[string, any][]} */
    this.bodies = Object.entries(operation.requestBody?.content ?? {});
    this.type = make("select", { id: `${id}-type` }, ...this.bodies.map(([type]) => make("option", { text: type })));
    this.body = make("textarea", { id: `${id}-body`, rows: "6", spellcheck: "false" });
    this.line = new Code("curl");
    this.said = make("p", { class: "answer", role: "status", hidden: true });
    this.headers = make("dl", { class: "headers" });
    this.more = make("details", { hidden: true }, make("summary", { text: "Headers" }), this.headers);
    this.answer = new Code("Answer");
    this.answer.element.hidden = true;
    this.button = make("button", { type: "submit", class: "primary", text: "Try it" });
    this.element = make(
      "form",
      { class: "try" },
      this.line.element,
      ...this.#fields(),
      ...(this.bodies.length ? [make("p", { class: "real", text: REAL })] : []),
      this.button,
      this.said,
      this.more,
      this.answer.element,
    );
    this.element.addEventListener("input", () => this.#told());
    this.element.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#send();
    });
    this.type.addEventListener("change", () => this.#offer());
    this.#offer();
  }

  #fields() {
    const fields = this.inputs.map(([told, field]) => labelled(told.name, field));
    if (this.bodies.length) fields.push(labelled("type of the body", this.type), labelled("body", this.body, true));
    return fields.length ? [make("div", { class: "fields" }, ...fields)] : [];
  }

  /** Put an example of the chosen type in. */
  #offer() {
    const found = this.bodies.find(([type]) => type === this.type.value)?.[1];
    if (found) this.body.value = typeof found.example === "string" ? found.example : pretty(found.example, BODY_WIDTH);
    this.#told();
  }

  /** Where it leads, with what is filled in. */
  get target() {
    let path = this.path;
    const query = new URLSearchParams();
    for (const [told, { value }] of this.inputs) {
      if (told.in === "path") path = path.replace(`{${told.name}}`, encodeURIComponent(value));
      else if (value !== "") query.set(told.name, value);
    }
    return query.size ? `${path}?${query}` : path;
  }

  #told() {
    const about = {
      locked: this.locked,
      type: this.bodies.length ? this.type.value : "",
      body: this.bodies.length ? this.body.value : "",
    };
    this.line.show(curl(this.method, this.place.origin + this.target, about));
  }

  async #send() {
    this.button.disabled = true;
    this.said.hidden = false;
    setText(this.said, "Asking …");
    const began = performance.now();
    /** @type {Record<string, string>} */
    const headers = this.bodies.length ? { "Content-Type": this.type.value } : {};
    try {
      const body = this.bodies.length ? this.body.value : undefined;
      const answer = await this.server.send(this.target, { method: this.method, headers, body, cache: "no-store" });
      const bytes = new Uint8Array(await answer.arrayBuffer());
      this.#show(answer, bytes, performance.now() - began);
    } catch (error) {
      this.said.className = "answer bad";
      setText(this.said, `There is no answer: ${error instanceof Error ? error.message : error}`);
      this.more.hidden = this.answer.element.hidden = true;
    }
    this.button.disabled = false;
  }

  /** @param {Response} answer @param {Uint8Array} bytes @param {number} ms */
  #show(answer, bytes, ms) {
    const type = answer.headers.get("content-type") ?? "";
    this.said.className = `answer ${answer.ok ? "good" : "bad"}`;
    setText(this.said, `${answer.status} ${answer.statusText} · ${Math.round(ms)} ms · ${count(bytes.length)} bytes`);
    this.headers.replaceChildren(
      ...[...answer.headers].map(([name, value]) =>
        make("div", {}, make("dt", { text: name }), make("dd", { text: value })),
      ),
    );
    const text = new TextDecoder().decode(bytes);
    const json = type.startsWith("application/json");
    this.answer.show(json ? whole(text) : text, json, MOST_SHOWN);
    this.more.hidden = this.answer.element.hidden = false;
  }
}

/** JSON as it is read; the text itself where it is none. @param {string} text */
function whole(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

/** @param {import("./spec.js").Spec} spec @param {any} told @param {string} id of the operation */
function input(spec, told, id) {
  const schema = spec.resolve(told.schema);
  const about = { id: `${id}-${told.name}`, name: told.name, ...(told.required ? { required: "" } : {}) };
  const first = told.example ?? (told.required ? schema.enum?.[0] : undefined) ?? "";
  if (schema.enum) {
    const choices = told.required ? schema.enum : ["", ...schema.enum];
    const found = make("select", about, ...choices.map((/** @type {string} */ text) => make("option", { text })));
    found.value = String(first);
    return found;
  }
  const number = schema.type === "integer" ? { type: "number", min: schema.minimum ?? 0, step: 1 } : { type: "text" };
  return make("input", { ...about, ...number, value: first, autocomplete: "off", spellcheck: "false" });
}

/** @param {string} text @param {any} field @param {boolean} wide */
export function labelled(text, field, wide = false) {
  return make("div", { class: wide ? "wide" : null }, make("label", { for: field.id, text }), field);
}
