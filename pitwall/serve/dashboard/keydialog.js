// @ts-check
/** Asks for a key, where the server wants one. */

import { make, setText } from "./dom.js";

export class KeyDialog {
  /** @param {(key: string) => void} given */
  constructor(given) {
    this.why = make("p", { class: "warn", role: "alert" });
    this.input = make("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: "" });
    const form = make(
      "form",
      { method: "dialog" },
      make("h2", { id: "key-title", text: "This server wants a key" }),
      make("label", { for: "key", text: "A key that may read; it is kept in this tab alone" }),
      this.input,
      this.why,
      make("button", { type: "submit", class: "primary", text: "Connect" }),
    );
    this.dialog = make("dialog", { class: "dialog", "aria-labelledby": "key-title" }, form);
    this.wanted = false;
    // Without a key there is nothing to be seen.
    this.dialog.addEventListener("close", () => this.wanted && this.dialog.showModal());
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const key = this.input.value.trim();
      if (!/^[!-~]{1,256}$/.test(key)) return setText(this.why, "That is not a key.");
      this.input.value = "";
      this.wanted = false;
      this.dialog.close();
      given(key);
    });
    document.body.append(this.dialog);
  }

  /** @param {string} why what the server said, if it has said something */
  ask(why) {
    setText(this.why, why);
    this.wanted = true;
    if (!this.dialog.open) this.dialog.showModal();
  }
}
