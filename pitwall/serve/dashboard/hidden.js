// @ts-check
/** The cars that a viewer does not want to see, and where he chooses them. None is hidden without a word. */

import { fillList, make, setText } from "./dom.js";

/** @typedef {import("./race.js").Car} Car */

/**
 * What is said of hidden cars: how many, and whom one should see all the same.
 * @param {Car[]} hidden @param {any[]} insights all that are said of the track
 * @returns {{text: string, urgent: string}}
 */
export function hiddenSaid(hidden, insights) {
  if (!hidden.length) return { text: "", urgent: "" };
  const why = hidden.flatMap((car) => {
    const critical = insights.some(
      ({ chassis, severity, state }) => chassis === car.chassis && severity === "critical" && state !== "cleared",
    );
    const found = [car.gap?.position === 1 ? "leads" : "", critical ? "has a critical insight" : ""].filter(Boolean);
    return found.length ? [`${car.chassis} ${found.join(" and ")}`] : [];
  });
  return { text: `${hidden.length} hidden`, urgent: why.length ? `▲ Hidden: ${why.join("; ")}.` : "" };
}

export class CarDialog {
  /** @param {import("./settings.js").Settings} settings @param {() => void} changed */
  constructor(settings, changed) {
    this.settings = settings;
    this.changed = changed;
    this.list = make("ul", { class: "cars" });
    const [all, none] = [
      make("button", { type: "button", text: "Show all", onclick: () => this.#set([]) }),
      make("button", { type: "button", text: "Show none", onclick: () => this.#set(this.cars.map((car) => car.id)) }),
    ];
    const close = make("button", { type: "button", text: "Close", onclick: () => this.dialog.close() });
    this.dialog = make(
      "dialog",
      { class: "dialog", "aria-labelledby": "cars-title" },
      make("h2", { id: "cars-title", text: "Cars that are shown" }),
      this.list,
      make("div", { class: "buttons" }, all, none, close),
    );
    document.body.append(this.dialog);
    /** @type {Car[]} */
    this.cars = [];
  }

  /** @param {Car[]} cars of the track, in order */
  open(cars) {
    this.cars = cars;
    this.#show();
    this.dialog.showModal();
  }

  /** @param {string[]} hidden of these cars */
  #set(hidden) {
    const others = this.settings.hidden.filter((id) => !this.cars.some((car) => car.id === id));
    this.settings.hidden = [...others, ...hidden];
    this.#show();
    this.changed();
  }

  #show() {
    fillList(
      this.list,
      this.cars,
      () => {
        const box = make("input", { type: "checkbox" });
        const line = make("li", {}, make("label", {}, box, make("span")));
        box.addEventListener("change", () => {
          const { hidden } = this.settings;
          this.#set(
            this.cars.map((car) => car.id).filter((id) => (id === line.car ? !box.checked : hidden.includes(id))),
          );
        });
        return line;
      },
      (line, car) => {
        line.car = car.id;
        const [box, name] = line.firstElementChild.children;
        box.checked = !this.settings.hidden.includes(car.id);
        setText(name, car.chassis);
      },
    );
  }
}
