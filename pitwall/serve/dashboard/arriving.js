// @ts-check
/** Is anything arriving? What is shown while no point has come. */

import { fillList, make, setText } from "./dom.js";
import * as format from "./format.js";

const JSON_POINT = '{"track":"barber","chassis":"GR86-004-78","lap":3,"lapdist_m":812.5,"speed_kmh":141.2}';

/** What a door has accepted, refused, and why. @param {any} metrics @returns {[string, number, number, string][]} */
export function doors(metrics) {
  const names = new Set([
    "udp",
    "http",
    ...Object.keys(metrics?.accepted ?? {}),
    ...Object.keys(metrics?.refused ?? {}),
  ]);
  return [...names].map((door) => {
    const reasons = Object.entries(metrics?.refused?.[door] ?? {}).sort(
      (one, other) => Number(other[1]) - Number(one[1]),
    );
    const refused = reasons.reduce((sum, [, count]) => sum + Number(count), 0);
    const why = reasons.map(([reason, count]) => `${reason.replaceAll("_", " ")} ${count}`).join(", ");
    return [door, metrics?.accepted?.[door] ?? 0, refused, why];
  });
}

/**
 * Lines that send a point.
 * @param {{hostname: string, origin: string}} address the page's @param {number | null} udpPort @param {boolean} locked
 * @returns {[string, string][]} what it is, the line
 */
export function lines({ hostname, origin }, udpPort, locked) {
  const host = hostname.replace(/^\[|\]$/g, "");
  const key = locked ? ' -H "Authorization: Bearer $KEY"' : "";
  /** @type {[string, string][]} */
  const found = [["By HTTP", `curl${key} -H 'Content-Type: application/json' -d '${JSON_POINT}' ${origin}/api/ingest`]];
  if (udpPort !== null) found.push(["By UDP", `echo '${JSON_POINT}' | nc -u -w0 ${host} ${udpPort}`]);
  found.push(["A whole race", "twistd -n pitwall --demo"]);
  return found;
}

export class Arriving {
  /** @param {HTMLElement} section @param {boolean} locked */
  constructor(section, locked) {
    this.section = section;
    this.locked = locked;
    this.said = make("p");
    this.rows = make("tbody");
    this.last = make("p", { class: "warn", hidden: true });
    this.commands = make("div", { class: "commands" });
    const titles = ["Door", "Accepted", "Refused", "Why"].map((text) => make("th", { scope: "col", text }));
    section.append(
      make("h2", { id: "arriving-title", text: "Is anything arriving?" }),
      this.said,
      make("table", {}, make("thead", {}, make("tr", {}, ...titles)), this.rows),
      this.last,
      make("h3", { text: "Send a point" }),
      this.commands,
    );
  }

  /** @param {import("./feed.js").Feed} feed @param {number} now */
  show(feed, now) {
    const { health, refusal } = feed;
    setText(this.said, health === null ? "Asking the server …" : said(health.metrics));
    fillList(
      this.rows,
      doors(health?.metrics),
      () => make("tr", {}, make("th", { scope: "row" }), make("td"), make("td"), make("td", { class: "why" })),
      (row, door) => {
        door.forEach((value, index) => setText(row.children[index], String(value)));
      },
    );
    this.last.hidden = refusal === null;
    if (refusal !== null) {
      const ago = format.age((now - refusal.at) / 1000);
      setText(this.last, `▲ Last refused ${ago} ago, by ${refusal.door}: ${refusal.reason.replaceAll("_", " ")}.`);
    }
    fillList(
      this.commands,
      lines(location, health?.udpPort ?? null, this.locked),
      () => this.#command(),
      (command, [title, line]) => {
        setText(command.children[0], title);
        setText(command.children[1], line);
      },
    );
  }

  #command() {
    const line = make("code", { tabindex: "0" });
    const copy = make("button", { type: "button", text: "Copy" });
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line.textContent);
        copy.textContent = "Copied";
      } catch {
        // Without HTTPS a page may not: then it is selected, to be copied by hand.
        getSelection()?.selectAllChildren(line);
        copy.textContent = "Selected";
      }
      setTimeout(() => setText(copy, "Copy"), 1500);
    });
    return make("div", { class: "command" }, make("span"), line, copy);
  }
}

/** @param {any} metrics */
function said(metrics) {
  if (metrics.errors > 0) return "Something arrives, but no point could be taken of it. No car is known yet.";
  return "No point has come since the server was started. The race appears here with the first one.";
}
