// @ts-check
/** The page: asks the server for its descriptions, and shows them. */

import { byId, make, setText } from "/dashboard/dom.js";
import { KeyDialog } from "/dashboard/keydialog.js";
import { Server } from "/dashboard/server.js";
import * as settingsFile from "/dashboard/settings.js";
import { Code, heading, paragraphs, piece } from "./blocks.js";
import { Contents } from "./contents.js";
import { beginnings, curl, place } from "./lines.js";
import { Live } from "./live.js";
import * as messages from "./messages.js";
import * as operations from "./operations.js";
import { Spec } from "./spec.js";

const THEMES = { system: "Auto", dark: "Dark", light: "Light" };

const said = (/** @type {string} */ name) =>
  document.querySelector(`meta[name="pitwall-${name}"]`)?.getAttribute("content") ?? "";
const locked = said("keys") === "needed";
const here = place(location, said("websocket"), locked);
const settings = settingsFile.load();
let shown = false;

const keys = new KeyDialog((key) => {
  server.use(key);
  void start();
});
const server = new Server((why) => {
  server.use(null);
  keys.ask(why);
});

function controls() {
  const theme = make("button", { type: "button", title: "Theme" });
  const names = /** @type {("system" | "dark" | "light")[]} */ (Object.keys(THEMES));
  const apply = () => {
    document.documentElement.dataset.theme = settings.theme;
    setText(theme, THEMES[/** @type {"system"} */ (settings.theme)]);
  };
  theme.addEventListener("click", () => {
    settings.theme = names[(names.indexOf(/** @type {"system"} */ (settings.theme)) + 1) % names.length];
    settingsFile.save(settings);
    apply();
  });
  apply();
  byId("controls").append(make("a", { href: "/", text: "Dashboard" }), theme);
  if (!locked) return;
  const forget = () => {
    server.use(null);
    location.reload();
  };
  byId("controls").append(make("button", { type: "button", text: "Forget key", onclick: forget }));
}

/** @param {Spec} rest @param {import("./contents.js").Entry} view @returns {import("./contents.js").Section} */
function beginning(rest, view) {
  const ingest = rest.document.paths["/api/ingest"].post.requestBody.content["application/json"];
  const point = JSON.stringify(ingest.example[0]);
  const codes = beginnings(here, point).map(([title, lines]) => new Code(title, lines).element);
  const documents = ["openapi", "asyncapi"].map((name) => curl("GET", `${here.origin}/api/${name}.json`, { locked }));
  codes.push(new Code("These references, for generators and validators", documents.join("\n")).element);
  const about = locked
    ? "This server wants a key; the lines take it from KEY, in JavaScript from key."
    : "The lines are for this server as they stand.";
  return {
    id: "begin",
    title: "Begin",
    about: paragraphs(rest.document.info.description),
    entries: [
      {
        id: "lines",
        title: ["Lines to copy"],
        words: "begin lines to copy javascript python shell websocat curl nc browser client",
        element: piece(
          "lines",
          "Lines to copy",
          heading("h3", "lines", "Lines to copy"),
          make("p", { text: about }),
          make("div", { class: "lines" }, ...codes),
        ),
      },
      view,
    ],
  };
}

/** @param {any} openapi @param {any} asyncapi */
function show(openapi, asyncapi) {
  const rest = new Spec(openapi);
  const stream = new Spec(asyncapi);
  const live = new Live(stream, { server, place: here });
  const view = {
    id: "live-view",
    title: ["Live messages"],
    words: "live messages websocket view subscribe",
    element: live.element,
  };
  const contents = new Contents([
    beginning(rest, view),
    ...messages.sections(stream, here),
    ...operations.sections(rest, { server, place: here }),
  ]);
  setText(byId("version"), openapi.info.version);
  byId("notice").hidden = true;
  contents.show();
}

async function start() {
  try {
    const [openapi, asyncapi, health] = await Promise.all(
      ["openapi.json", "asyncapi.json", "health"].map((name) => server.ask(`/api/${name}`)),
    );
    if (shown) return;
    shown = true;
    here.udpPort = health.udpPort;
    show(openapi, asyncapi);
  } catch (error) {
    byId("notice").className = "notice bad";
    setText(byId("notice"), `The descriptions could not be had: ${error instanceof Error ? error.message : error}`);
  }
}

controls();
if (locked && !server.hasKey) {
  setText(byId("notice"), "This server wants a key.");
  keys.ask("");
} else {
  void start();
}
