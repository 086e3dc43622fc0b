// @ts-check
/** The buttons of the bar, and what keys do. */

import { make, setText } from "./dom.js";

const THEMES = { system: "Auto", dark: "Dark", light: "Light" };

/** The next of some choices. @template T @param {T[]} choices @param {T} now @returns {T} */
export const after = (choices, now) => choices[(choices.indexOf(now) + 1) % choices.length];

const KEYS = [
  ["↑ ↓", "Go from car to car"],
  ["Enter", "Select the car; a second one is compared"],
  ["Esc", "Select none"],
  ["M", "Show or hide the map"],
  ["I", "Show or hide the insights"],
  ["C", "Choose the cars that are shown"],
  ["A", "Alerts: sound and notifications"],
  ["U", "km/h or mph"],
  ["T", "Theme: auto, dark, light"],
  ["F", "Full screen"],
  ["?", "This help"],
];

export class Controls {
  /**
   * @param {HTMLElement} bar @param {import("./settings.js").Settings} settings
   * @param {{changed: () => void, move: (step: number) => void, choose: () => void, clear: () => void,
   *   cars: () => void, alerts: () => void, alertWords: () => string}} actions
   */
  constructor(bar, settings, actions) {
    this.settings = settings;
    this.actions = actions;
    this.track = make("select", { id: "track" });
    this.track.addEventListener("change", () => this.#set("track", this.track.value));
    this.trackLabel = make("label", { for: "track", class: "sr", text: "Track" });
    const button = (/** @type {string} */ title, /** @type {() => void} */ onclick) =>
      make("button", { type: "button", title, onclick });
    this.map = button("Show or hide the map (M)", () => this.#set("map", !settings.map));
    this.insights = button("Show or hide the insights (I)", () => this.#set("insights", !settings.insights));
    this.cars = button("Choose the cars that are shown (C)", () => actions.cars());
    this.alerts = button("Sound and notifications (A)", () => actions.alerts());
    this.units = button("Units of speed (U)", () => this.#set("units", after(["km/h", "mph"], settings.units)));
    this.theme = button("Theme (T)", () => this.#set("theme", after(["system", "dark", "light"], settings.theme)));
    this.full = button("Full screen (F)", () => this.#fullScreen());
    this.help = help();
    const asks = button("Help (?)", () => this.help.showModal());
    this.cars.className = "cars";
    this.alerts.className = "alerts";
    this.units.className = "units";
    [this.map.textContent, this.insights.textContent, this.full.textContent, asks.textContent] = [
      "Map",
      "Insights",
      "Full",
      "?",
    ];
    this.full.className = "full";
    asks.setAttribute("aria-label", "Help");
    this.full.hidden = !document.fullscreenEnabled;
    const buttons = [this.map, this.insights, this.cars, this.alerts, this.units, this.theme, this.full, asks];
    bar.append(this.trackLabel, this.track, ...buttons);
    document.body.append(this.help);
    document.addEventListener("keydown", (event) => this.#key(event));
    this.show([], null);
  }

  /** @param {string[]} tracks those there are @param {string | null} track the one that is shown @param {number} [hidden] cars */
  show(tracks, track, hidden = 0) {
    const { settings } = this;
    this.trackLabel.hidden = this.track.hidden = tracks.length < 2;
    const shown = [...this.track.options].map((option) => option.value);
    if (shown.join("\n") !== tracks.join("\n")) {
      this.track.replaceChildren(...tracks.map((name) => make("option", { value: name, text: name })));
    }
    if (track !== null && this.track.value !== track) this.track.value = track;
    this.map.setAttribute("aria-pressed", String(settings.map));
    this.insights.setAttribute("aria-pressed", String(settings.insights));
    setText(this.cars, hidden > 0 ? `Cars −${hidden}` : "Cars");
    setText(this.alerts, this.actions.alertWords());
    setText(this.units, settings.units);
    setText(this.theme, THEMES[/** @type {"dark"} */ (settings.theme)]);
    document.documentElement.dataset.theme = settings.theme;
  }

  /** @param {string} name @param {any} value */
  #set(name, value) {
    /** @type {any} */ (this.settings)[name] = value;
    this.actions.changed();
  }

  async #fullScreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("input, select, textarea")) return;
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const inList = target.matches(".scroll, code") && target.scrollHeight > target.clientHeight;
    /** @type {Record<string, () => void>} */
    const does = {
      m: () => this.map.click(),
      i: () => this.insights.click(),
      c: () => this.cars.click(),
      a: () => this.alerts.click(),
      u: () => this.units.click(),
      t: () => this.theme.click(),
      f: () => this.full.click(),
      "?": () => this.help.showModal(),
      Escape: () => this.actions.clear(),
      ...(inList ? {} : { ArrowDown: () => this.actions.move(1), ArrowUp: () => this.actions.move(-1) }),
      ...(target.matches("button, summary") ? {} : { Enter: () => this.actions.choose() }),
    };
    const act = does[pressed];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }
}

function help() {
  const rows = KEYS.map(([key, what]) =>
    make("div", {}, make("dt", {}, make("kbd", { text: key })), make("dd", { text: what })),
  );
  const dialog = make("dialog", { "aria-labelledby": "help-title", class: "dialog" });
  const close = make("button", { type: "button", text: "Close", onclick: () => dialog.close() });
  const reference = make("p", {}, make("a", { href: "/docs", text: "REST and WebSocket, for developers" }));
  dialog.append(make("h2", { id: "help-title", text: "Keys" }), make("dl", {}, ...rows), reference, close);
  return dialog;
}
