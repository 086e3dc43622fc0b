// @ts-check
/** What is to come over the WebSocket, as it is filled in: an address, and a message. */

import { make } from "/dashboard/dom.js";
import { labelled } from "./tryit.js";

/** Names, parted by commas. @param {string} text */
export const names = (text) =>
  text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);

export class Subscription {
  /**
   * @param {string[]} types those there are @param {string[]} channels likewise
   * @param {number} least @param {number} most messages a second
   */
  constructor(types, channels, least, most) {
    this.types = types.map((type) => make("input", { type: "checkbox", id: `live-${type}`, value: type, checked: "" }));
    const text = (/** @type {string} */ id, /** @type {string} */ placeholder) =>
      make("input", { id, placeholder, autocomplete: "off", spellcheck: "false" });
    this.chassis = text("live-chassis", "all");
    this.track = text("live-track", "all");
    this.channels = text("live-channels", "all");
    this.channels.setAttribute("list", "live-known");
    this.maxHz = make("input", {
      id: "live-max-hz",
      type: "number",
      min: least,
      max: most,
      step: "any",
      value: "2",
      placeholder: "all",
    });
    this.snapshot = make("input", { type: "checkbox", id: "live-snapshot", checked: "" });
    this.element = make(
      "div",
      { class: "fields" },
      make(
        "fieldset",
        { class: "wide" },
        make("legend", { text: "Types of message" }),
        ...this.types.map((field, index) => check(field, types[index])),
      ),
      labelled("Cars (chassis)", this.chassis),
      labelled("Tracks", this.track),
      labelled("Channels", this.channels),
      labelled("Messages a second (max_hz)", this.maxHz),
      make("div", { class: "wide" }, check(this.snapshot, "Begin with a snapshot")),
      make("datalist", { id: "live-known" }, ...channels.map((value) => make("option", { value }))),
    );
  }

  /** What is limited; what is not is left out. @returns {Record<string, any>} */
  get wanted() {
    /** @type {Record<string, any>} */
    const found = {};
    const types = this.types.filter(({ checked }) => checked).map(({ value }) => value);
    // Of no type at all nothing would come.
    if (types.length > 0 && types.length < this.types.length) found.types = types;
    for (const name of /** @type {const} */ (["chassis", "track", "channels"])) {
      const said = names(this[name].value);
      if (said.length) found[name] = said;
    }
    if (this.maxHz.value !== "") found.max_hz = Number(this.maxHz.value);
    return found;
  }

  /** The query of the address, with its question mark. */
  get query() {
    const said = Object.entries(this.wanted).map(
      ([name, value]) => `${name}=${encodeURIComponent(String(value)).replaceAll("%2C", ",")}`,
    );
    if (this.snapshot.checked) said.unshift("snapshot=1");
    return said.length ? `?${said.join("&")}` : "";
  }

  /** The message that asks for the same. */
  get message() {
    return { type: "subscribe", ...this.wanted };
  }
}

/** @param {any} field @param {string} text */
function check(field, text) {
  return make("label", { class: "check", for: field.id }, field, text);
}
