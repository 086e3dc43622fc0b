// @ts-check
/** How an alert is told: a tone that the browser makes, a notification of the system; and whether it can be. */

import { severity } from "./standing.js";

/** A tone: from its beginning to the next one's, how long it is [s], how loud, and its pitch by severity [Hz]. */
const EVERY_S = 0.18;
const LONG_S = 0.13;
const LOUD = 0.2;
const PITCHES = [660, 740, 880, 990];
/** So many tones, by severity. */
const TONES = [1, 1, 2, 3];

export class Sound {
  /** @type {AudioContext | null} */
  #context = null;
  /** How often it was heard, or would have been. */
  played = 0;

  /** Whether the browser lets it be heard: not before the page was clicked or a key pressed. */
  get ready() {
    return this.#context?.state === "running";
  }

  /** To be called by a click or a key. */
  async unlock() {
    this.#context ??= new AudioContext();
    if (this.#context.state !== "running") await this.#context.resume();
  }

  /** @param {any} insight */
  play(insight) {
    const context = this.#context;
    if (context === null) return;
    this.played += 1;
    const level = severity(insight);
    for (let tone = 0; tone < TONES[level]; tone += 1) {
      const at = context.currentTime + 0.02 + tone * EVERY_S;
      const [source, gain] = [context.createOscillator(), context.createGain()];
      source.frequency.value = PITCHES[level];
      // Without a slope at its ends a tone begins and ends with a crack.
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(LOUD, at + 0.015);
      gain.gain.setValueAtTime(LOUD, at + LONG_S - 0.03);
      gain.gain.linearRampToValueAtTime(0, at + LONG_S);
      source.connect(gain).connect(context.destination);
      source.start(at);
      source.stop(at + LONG_S);
    }
  }
}

/** Why no notification can be shown; "" where one can, "ask" where the viewer is to be asked. */
export function hindered() {
  if (!isSecureContext)
    return "Browsers show notifications only for pages opened by https, or on the server's own machine. This one was opened by http.";
  if (!("Notification" in window)) return "This browser has no notifications.";
  if (Notification.permission === "denied") return "The browser was told not to show notifications of this page.";
  return Notification.permission === "granted" ? "" : "ask";
}

/** @param {any} insight @param {number} more how many others there are */
export function notify(insight, more) {
  if (hindered() !== "") return;
  const body = `${insight.message}${more > 0 ? `\nand ${more} more` : ""}`;
  const shown = new Notification(`${insight.chassis}: ${insight.severity}`, {
    body,
    icon: "/dashboard/icon.svg",
    tag: `pitwall ${insight.chassis}`,
  });
  shown.addEventListener("click", () => {
    window.focus();
    shown.close();
  });
}
