// @ts-check
/** The WebSocket and its messages, as the AsyncAPI document tells of them. */

import { make } from "/dashboard/dom.js";
import { Code, example, heading, members, paragraphs, piece, table } from "./blocks.js";
import { pretty } from "./json.js";

/** @typedef {import("./spec.js").Spec} Spec */
/** @typedef {import("./contents.js").Section} Section */
/** @typedef {import("./contents.js").Entry} Entry */

/** The one channel there is. @param {Spec} spec @returns {any} */
export const channel = (spec) => Object.values(spec.document.channels)[0];

/** @param {Spec} spec @param {import("./lines.js").Place} place @returns {Section[]} */
export function sections(spec, place) {
  const all = Object.entries(spec.document.components.messages);
  const operations = /** @type {any[]} */ (Object.values(spec.document.operations));
  const names = (/** @type {any[]} */ references) =>
    references.map(({ $ref }) => $ref.slice($ref.lastIndexOf("/") + 1));
  const from = new Set(names(operations.filter(({ action }) => action === "send").flatMap(({ messages }) => messages)));
  const answers = (/** @type {string} */ name) =>
    names(
      operations
        .filter(({ reply, messages }) => reply && names(messages).includes(name))
        .flatMap(({ reply }) => reply.messages),
    );
  const entries = (/** @type {boolean} */ server) =>
    all
      .filter(([name]) => from.has(name) === server)
      .map(([name, told]) => message(spec, name, told, server, answers(name)));
  return [
    {
      id: "websocket",
      title: "WebSocket",
      about: paragraphs(spec.document.info.description),
      entries: [address(spec, place), ...codes(spec), point(spec)],
    },
    { id: "from-server", title: "Messages from the server", about: [], entries: entries(true) },
    { id: "to-server", title: "Messages to the server", about: [], entries: entries(false) },
  ];
}

/** @param {Spec} spec @param {string} name @param {any} told @param {boolean} server @param {string[]} answers @returns {Entry} */
function message(spec, name, told, server, answers) {
  const id = `message-${name}`;
  const schema = spec.resolve(told.payload);
  const packed = told.contentType === "application/msgpack";
  const text = make(
    "div",
    { class: "text" },
    heading(
      "h3",
      id,
      arrow(server),
      " ",
      make("code", { text: told.name }),
      ...(packed ? [make("small", { text: " in MessagePack" })] : []),
    ),
    ...paragraphs(schema.description ?? told.summary),
    make("p", { class: "when" }, make("b", { text: "When: " }), told.description),
    ...(answers.length ? [answered(spec, answers)] : []),
    make("h4", { text: "Members" }),
    members(spec, schema, !server),
  );
  const shown = (told.examples ?? []).map((/** @type {any} */ { payload }) =>
    example(packed ? "Example, as JSON" : "Example", payload),
  );
  return {
    id,
    title: [arrow(server), packed ? `${told.name} (MessagePack)` : told.name],
    words: `${name}\n${spec.words(told)}`.toLowerCase(),
    element: piece(
      id,
      `${told.name}, ${server ? "from" : "to"} the server`,
      text,
      make("div", { class: "side" }, ...shown),
    ),
  };
}

/** @param {Spec} spec @param {string[]} names */
function answered(spec, names) {
  const links = names.flatMap((name, index) => [
    index ? ", " : "",
    make("a", { href: `#message-${name}` }, make("code", { text: spec.document.components.messages[name].name })),
  ]);
  return make("p", {}, "Answered by ", ...links, ".");
}

/** @param {boolean} server */
const arrow = (server) =>
  make("span", {
    class: `method ${server ? "from" : "to"}`,
    text: server ? "↓" : "↑",
    role: "img",
    "aria-label": server ? "from the server" : "to the server",
  });

/** @param {Spec} spec @param {import("./lines.js").Place} place @returns {Entry} */
function address(spec, place) {
  const { ws } = channel(spec).bindings;
  const schemes = Object.values(spec.document.components.securitySchemes).map(
    (/** @type {any} */ each) => each.description,
  );
  const text = make(
    "div",
    { class: "text" },
    heading("h3", "address", "Address and query"),
    ...paragraphs(ws.query.description),
    members(spec, ws.query, true),
    make("h4", { text: "Subprotocols" }),
    table(["Sec-WebSocket-Protocol", "What comes"], Object.entries(channel(spec)["x-subprotocols"])),
    make("h4", { text: "Keys" }),
    make("p", {
      text: place.locked
        ? "This server wants one of these:"
        : "This server has no keys. One that has wants one of these:",
    }),
    make("ul", { class: "points" }, ...schemes.map((each) => make("li", { text: each }))),
  );
  const side = make(
    "div",
    { class: "side" },
    new Code("Address", place.websocket).element,
    new Code(
      "Two cars, three channels, ten messages a second",
      `${place.websocket}?chassis=GR86-004-78,GR86-022-13&channels=lap,speed_kmh,rpm&max_hz=10`,
    ).element,
  );
  return {
    id: "address",
    title: ["Address and query"],
    words: `${spec.words(ws.query)}\nsubprotocol\nticket\nkey`,
    element: piece("address", "Address and query", text, side),
  };
}

/** @param {Spec} spec @returns {Entry[]} */
function codes(spec) {
  const found = channel(spec);
  return /** @type {const} */ ([
    [
      "close-codes",
      "Close codes",
      "x-close-codes",
      "Why the server closes a connection; the frame has a reason in words.",
    ],
    [
      "refusals",
      "Answers in place of the handshake",
      "x-refusals",
      "They are JSON, as every error. A page is not told them: it sees a connection that does not open (1006).",
    ],
  ]).map(([id, title, member, about]) => ({
    id,
    title: [title],
    words: `${title}\n${pretty(found[member])}`.toLowerCase(),
    element: piece(
      id,
      title,
      make(
        "div",
        { class: "text" },
        heading("h3", id, title),
        make("p", { text: about }),
        table(["Code", "Why"], Object.entries(found[member])),
      ),
    ),
  }));
}

/** @param {Spec} spec @returns {Entry} */
function point(spec) {
  const schema = spec.document.components.schemas.Point;
  const shown = spec.document.components.messages.TelemetryUpdate.examples[0].payload.data[0];
  return {
    id: "point",
    title: ["A point and its channels"],
    words: `a point and its channels\n${spec.words(schema)}`,
    element: piece(
      "point",
      "A point and its channels",
      make(
        "div",
        { class: "text" },
        heading("h3", "point", "A point and its channels"),
        ...paragraphs(schema.description),
        members(spec, schema),
      ),
      make("div", { class: "side" }, example("Example", shown)),
    ),
  };
}
