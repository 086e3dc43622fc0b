// @ts-check
/** Messages as they come: a WebSocket of this page's own, opened plainly, so that every byte of it is seen. */

import { make, setText } from "/dashboard/dom.js";
import { count } from "/dashboard/format.js";
import { Code, heading, piece } from "./blocks.js";
import { pretty } from "./json.js";
import { MessageList } from "./messagelist.js";
import { channel } from "./messages.js";
import { Meter } from "./meter.js";
import { Subscription } from "./subscription.js";
import { labelled } from "./tryit.js";

/** The list and the figures are drawn so often [ms]. */
const DRAW_MS = 250;
const NO_CODE = 1006;

export class Live {
  /** @type {WebSocket | null} */
  #socket = null;
  /** What tells a connection from one that was given up. */
  #turn = 0;
  #coder = new TextEncoder();

  /**
   * @param {import("./spec.js").Spec} spec of AsyncAPI
   * @param {{server: import("/dashboard/server.js").Server, place: import("./lines.js").Place}} about
   */
  constructor(spec, { server, place }) {
    this.server = server;
    this.place = place;
    this.codes = channel(spec)["x-close-codes"];
    const subscribe = spec.document.components.schemas.Subscribe.properties;
    const rate = subscribe.max_hz.anyOf[0];
    const types = subscribe.types.anyOf[0].items.enum;
    const channels = Object.keys(spec.document.components.schemas.Point.properties);
    this.subscription = new Subscription(types, channels, rate.minimum, rate.maximum);
    this.meter = new Meter();
    this.list = new MessageList(() => this.#pause(true));
    this.state = make("p", { class: "state", role: "status", text: "Not connected." });
    this.address = new Code("Address");
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
      make("button", { type: "button", text, onclick });
    this.connect = button("Connect", () => (this.#socket === null ? void this.#open() : this.#close()));
    this.connect.className = "primary";
    this.subscribe = button("Subscribe", () => this.#say(JSON.stringify(this.subscription.message)));
    this.subscribe.title = "Ask for what is filled in over the connection there is";
    this.pause = button("Pause", () => this.#pause(!this.list.paused));
    this.clear = button("Clear", () => this.#clear());
    this.message = make("textarea", { id: "live-message", rows: "3", spellcheck: "false" });
    this.send = button("Send", () => this.#say(this.message.value));
    this.rates = make("tbody");
    const titles = ["Type", "Messages", "1/s", "kB/s", "B each"].map((text) => make("th", { scope: "col", text }));
    this.table = make(
      "table",
      { class: "rates", hidden: true },
      make("thead", {}, make("tr", {}, ...titles)),
      this.rates,
    );
    this.form = make(
      "div",
      { class: "side" },
      this.subscription.element,
      this.address.element,
      make("div", { class: "buttons" }, this.connect, this.subscribe, this.pause, this.clear),
      make(
        "details",
        {},
        make("summary", { text: "Send a message of your own" }),
        labelled("Message", this.message, true),
        this.send,
      ),
    );
    const shown = make("div", { class: "text" }, this.state, this.table, this.list.element);
    this.element = piece("live-view", "Live messages", heading("h3", "live-view", "Live messages"), this.form, shown);
    this.element.classList.add("live");
    this.form.addEventListener("input", (/** @type {Event} */ event) => event.target !== this.message && this.#told());
    this.#told();
    this.#enable();
    setInterval(() => this.#draw(), DRAW_MS);
  }

  #told() {
    this.address.show(this.place.websocket + this.subscription.query);
    this.message.value = pretty(this.subscription.message);
  }

  async #open() {
    const turn = ++this.#turn;
    this.#clear();
    this.#enter("Connecting …", "");
    let query = this.subscription.query;
    try {
      if (this.place.locked) query += `${query ? "&" : "?"}ticket=${encodeURIComponent(await this.server.ticket())}`;
    } catch (error) {
      if (turn === this.#turn)
        this.#enter(`There is no ticket: ${error instanceof Error ? error.message : error}.`, "bad");
      return;
    }
    if (turn !== this.#turn) return;
    const socket = new WebSocket(this.place.websocket + query);
    this.#socket = socket;
    let openedAt = 0;
    socket.onopen = () => {
      if (turn !== this.#turn) return;
      openedAt = performance.now();
      this.#enter("Connected.", "good");
    };
    socket.onmessage = ({ data }) => turn === this.#turn && this.#take(String(data), false);
    socket.onclose = ({ code, reason }) => {
      if (turn !== this.#turn) return;
      this.#socket = null;
      this.#enter(this.#ended(code, reason, openedAt), "bad");
    };
    this.#enable();
  }

  #close() {
    const socket = this.#socket;
    this.#turn += 1;
    this.#socket = null;
    socket?.close(1000);
    this.#enter("Closed by this page, code 1000.", "");
  }

  /** @param {number} code @param {string} reason @param {number} openedAt 0: it never was */
  #ended(code, reason, openedAt) {
    if (code === NO_CODE && openedAt === 0) {
      return "The connection did not open (1006). A page is not told why: see the answers in place of the handshake.";
    }
    const words = this.codes[code] ?? (code === NO_CODE ? "the connection broke" : "");
    const seconds = Math.round((performance.now() - openedAt) / 1000);
    return `Closed after ${seconds} s, code ${code}${words ? `: ${words}` : ""}.${reason ? ` Reason: ${reason}` : ""}`;
  }

  /** @param {string} text @param {string} name of a class */
  #enter(text, name) {
    setText(this.state, text);
    this.state.className = `state ${name}`;
    this.#enable();
  }

  #enable() {
    const open = this.#socket?.readyState === WebSocket.OPEN;
    setText(this.connect, this.#socket === null ? "Connect" : "Disconnect");
    this.subscribe.disabled = this.send.disabled = !open;
  }

  /** @param {string} text @param {boolean} sent */
  #take(text, sent) {
    const bytes = this.#coder.encode(text).length;
    let content;
    try {
      content = JSON.parse(text);
    } catch {
      // Whatever somebody sends is shown as it is.
    }
    const type = typeof content?.type === "string" ? content.type : "no JSON";
    if (!sent) this.meter.add(type, bytes, performance.now());
    this.list.add({ type, text, content, bytes, at: Date.now(), sent });
  }

  /** @param {string} text */
  #say(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    this.#take(text, true);
  }

  /** @param {boolean} paused */
  #pause(paused) {
    this.list.paused = paused;
    if (!paused) this.list.missed = 0;
    this.#draw();
  }

  #clear() {
    this.meter.clear(performance.now());
    this.list.clear();
    this.rates.replaceChildren();
    this.#pause(false);
  }

  #draw() {
    this.list.draw();
    const { paused, missed } = this.list;
    setText(this.pause, paused ? (missed ? `Go on (${count(missed)} more)` : "Go on") : "Pause");
    this.pause.setAttribute("aria-pressed", String(paused));
    const figures = this.meter.figures(performance.now());
    this.table.hidden = figures.length === 0;
    for (const each of figures) {
      const row = [...this.rates.children].find(({ dataset }) => dataset.type === each.type) ?? this.#rate(each.type);
      const cells = [
        count(each.count),
        each.hz.toFixed(1),
        (each.bytesHz / 1000).toFixed(1),
        count(each.bytes / each.count),
      ];
      cells.forEach((text, index) => setText(row.children[index + 1], text));
    }
  }

  /** A line of the table, which also says whether that type is shown. @param {string} type */
  #rate(type) {
    const shown = make("input", { type: "checkbox", onchange: () => this.list.show(type, shown.checked) });
    shown.checked = !this.list.hidden.has(type);
    const label = make("label", { class: "check", title: "Show these messages" }, shown, type);
    const row = make("tr", {}, make("th", { scope: "row" }, label), ...Array.from({ length: 4 }, () => make("td")));
    row.dataset.type = type;
    this.rates.append(row);
    return row;
  }
}
