// @ts-check
/** Where a viewer says which insights are to be heard or notified of; nothing is before that. */

import { hindered, notify, Sound } from "./alertways.js";
import { make, setText } from "./dom.js";
import { SEVERITIES, upFrom } from "./standing.js";

const SAMPLE = { chassis: "PitWall", severity: "high", message: "An insight would be told like this." };

export class AlertDialog {
  /** @param {import("./settings.js").Settings} settings @param {() => void} changed */
  constructor(settings, changed) {
    this.settings = settings;
    this.changed = changed;
    this.sound = new Sound();
    this.soundSays = make("p", { class: "about-alert", role: "status" });
    this.notifySays = make("p", { class: "about-alert", role: "status" });
    this.soundBox = this.#box("alert-sound", () => void this.#wantSound(this.soundBox.checked));
    this.notifyBox = this.#box("alert-notify", () => void this.#wantNotify(this.notifyBox.checked));
    const close = make("button", { type: "button", text: "Close", onclick: () => this.dialog.close() });
    this.dialog = make(
      "dialog",
      { class: "dialog alerts", "aria-labelledby": "alerts-title" },
      make("h2", { id: "alerts-title", text: "Alerts" }),
      make("p", { text: "For insights that arise or get worse while this page is open, one each five seconds at most." }),
      this.#row(this.soundBox, "Sound", "soundLeast", "Play it", () => void this.#wantSound(this.settings.sound, true)),
      this.soundSays,
      this.#row(this.notifyBox, "Notification", "notifyLeast", "Show one", () => void this.#wantNotify(this.settings.notify, true)),
      this.notifySays,
      close,
    );
    document.body.append(this.dialog);
    // A browser lets no page be heard before it was clicked.
    const unlock = () => this.settings.sound && !this.sound.ready && void this.sound.unlock().then(() => this.#show());
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, unlock);
    this.#show();
  }

  /** What the button that opens this says. */
  get words() {
    if (this.settings.sound && !this.sound.ready) return "Alerts: click to hear";
    return this.settings.sound || this.#notifies ? "Alerts on" : "Alerts off";
  }

  get #notifies() {
    return this.settings.notify && hindered() === "";
  }

  open() {
    this.#show();
    this.dialog.showModal();
  }

  /** @param {any} insight */
  play(insight) {
    this.sound.play(insight);
  }

  /** @param {string} id @param {() => void} onchange */
  #box(id, onchange) {
    return make("input", { type: "checkbox", id, onchange });
  }

  /**
   * @param {HTMLElement} box @param {string} name @param {"soundLeast" | "notifyLeast"} least @param {string} test
   * @param {() => void} onclick
   */
  #row(box, name, least, test, onclick) {
    const choice = make("select", {
      "aria-label": `${name}: least severity`,
      onchange: () => {
        this.settings[least] = choice.value;
        this.changed();
      },
    });
    for (const each of SEVERITIES) choice.append(make("option", { value: each, text: upFrom(each) }));
    choice.value = this.settings[least];
    const label = make("label", { for: box.id, text: name });
    return make("div", { class: "alert-row" }, box, label, choice, make("button", { type: "button", text: test, onclick }));
  }

  /** @param {boolean} wanted @param {boolean} [test] */
  async #wantSound(wanted, test = false) {
    this.settings.sound = wanted;
    if (wanted || test) {
      await this.sound.unlock();
      this.sound.play(SAMPLE);
    }
    this.#told();
  }

  /** @param {boolean} wanted @param {boolean} [test] */
  async #wantNotify(wanted, test = false) {
    if ((wanted || test) && hindered() === "ask") await Notification.requestPermission();
    this.settings.notify = wanted && hindered() === "";
    if (wanted || test) notify(SAMPLE, 0);
    this.#told();
  }

  #told() {
    this.#show();
    this.changed();
  }

  #show() {
    const why = hindered();
    this.soundBox.checked = this.settings.sound;
    this.notifyBox.checked = this.#notifies;
    this.notifyBox.disabled = why !== "" && why !== "ask";
    const waits = this.settings.sound && !this.sound.ready;
    setText(this.soundSays, waits ? "It is heard once this page was clicked." : "");
    setText(this.notifySays, why === "ask" ? "The browser will ask whether it may show them." : why);
  }
}
