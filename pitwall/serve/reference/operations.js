// @ts-check
/** The REST resources, as the OpenAPI document tells of them. */

import { make } from "/dashboard/dom.js";
import { example, form, heading, member, opened, paragraphs, piece } from "./blocks.js";
import { TryIt } from "./tryit.js";

/** @typedef {import("./spec.js").Spec} Spec */
/** @typedef {{server: import("/dashboard/server.js").Server, place: import("./lines.js").Place}} Context */
/** @typedef {import("./contents.js").Section} Section */

/** A section for each tag. @param {Spec} spec @param {Context} context @returns {Section[]} */
export function sections(spec, context) {
  const all = Object.entries(spec.document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  return spec.document.tags.map((/** @type {any} */ { name, description }) => ({
    id: `rest-${name.toLowerCase().replaceAll(" ", "-")}`,
    title: `REST: ${name}`,
    about: [make("p", { text: `${description[0].toUpperCase()}${description.slice(1)}.` })],
    entries: all
      .filter(({ operation }) => operation.tags.includes(name))
      .map((each) => ({
        id: `op-${each.operation.operationId}`,
        title: [badge(each.method), each.path],
        words: `${each.method} ${each.path}\n${spec.words(sought(each.operation))}`.toLowerCase(),
        element: operation(spec, { ...each, ...context }),
      })),
  }));
}

/** What may be looked for: refusals are the same everywhere. @param {any} operation */
const sought = ({ responses, ...operation }) => ({ ...operation, good: responses["200"] });

/** @param {string} method */
const badge = (method) => make("span", { class: `method ${method.toLowerCase()}`, text: method });

/** @param {Spec} spec @param {import("./tryit.js").About} about */
function operation(spec, about) {
  const { path, method, operation: told } = about;
  const id = `op-${told.operationId}`;
  const text = make(
    "div",
    { class: "text" },
    heading("h3", id, badge(method), " ", make("code", { text: path })),
    ...paragraphs(told.summary),
    make("p", { class: "key", text: wanted(told) }),
    ...parameters(spec, told.parameters ?? []),
    ...body(spec, told.requestBody),
    make("h4", { text: "Answers" }),
    ...Object.entries(told.responses).map(([status, answer]) => response(spec, status, answer)),
  );
  const answers = Object.entries(told.responses["200"].content).filter(([, content]) => "example" in content);
  const side = make(
    "div",
    { class: "side" },
    new TryIt(spec, about).element,
    ...answers.map(([type, content]) => example(`Example of an answer: ${type}`, content.example)),
  );
  return piece(id, `${method} ${path}`, text, side);
}

/** What a key has to be for. @param {any} told */
function wanted({ security }) {
  if (security === undefined) return "No key is needed: this server has none.";
  if (security.length === 0) return "For everyone, without a key.";
  const scopes = security.flatMap((/** @type {any} */ each) => Object.values(each).flat());
  return `Wants a key with the scope ${scopes.join(" or ")}.`;
}

/** @param {Spec} spec @param {any[]} told */
function parameters(spec, told) {
  if (!told.length) return [];
  const rows = told.map((each) =>
    member(spec, each.name, each.schema, {
      note: each.in === "path" ? "in the path" : "in the query, optional",
      what: each.description,
    }),
  );
  return [make("h4", { text: "Parameters" }), make("ul", { class: "members" }, ...rows)];
}

/** @param {Spec} spec @param {any} told */
function body(spec, told) {
  if (!told) return [];
  const types = Object.entries(told.content).map(([type, { schema }], index) =>
    opened(make("code", { text: type }), () => form(spec, schema, true), index === 0, "status"),
  );
  return [make("h4", { text: "Body" }), ...types];
}

/** @param {Spec} spec @param {string} status @param {any} told */
function response(spec, status, told) {
  const title = make(
    "span",
    {},
    make("b", { class: status < "400" ? "good" : "bad", text: status }),
    ` ${told.description}`,
  );
  return opened(
    title,
    () => {
      const headers = Object.entries(told.headers ?? {}).map(([name, { schema, description }]) =>
        member(spec, name, schema, { note: "header", what: description }),
      );
      const contents = Object.entries(told.content).flatMap(([type, { schema }]) => [
        make("p", { class: "type" }, make("code", { text: type })),
        ...form(spec, schema),
      ]);
      return [...(headers.length ? [make("ul", { class: "members" }, ...headers)] : []), ...contents];
    },
    status === "200",
    "status",
  );
}
