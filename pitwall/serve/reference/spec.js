// @ts-check
/** What a specification says of a schema, in words. */

/** What every text of ours keeps to, as a pattern. */
const PLAIN = "^[^\\x00-\\x1f\\x7f-\\x9f]*$";
/** Nobody looks for what stands in an example. */
const NOT_SOUGHT = new Set(["example", "examples", "$ref", "pattern"]);

/** @param {string[]} words */
const unique = (words) => [...new Set(words)];
/** @param {number | undefined} least @param {number | undefined} most @param {string} of */
function between(least, most, of = "") {
  const unit = of && ` ${of}`;
  if (least !== undefined && most !== undefined)
    return least === most ? `${least}${unit}` : `${least} to ${most}${unit}`;
  if (least !== undefined) return `at least ${least}${unit}`;
  return most === undefined ? "" : `at most ${most}${unit}`;
}

export class Spec {
  /** @param {any} document of OpenAPI or AsyncAPI */
  constructor(document) {
    this.document = document;
  }

  /** What a reference leads to. @param {string} pointer @returns {any} */
  at(pointer) {
    const parts = pointer.slice(2).split("/");
    return parts.reduce((node, part) => node[part.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
  }

  /** What is meant, where a reference stands. @param {any} schema @returns {any} */
  resolve(schema) {
    if (schema.$ref) return this.resolve(this.at(schema.$ref));
    if (schema.allOf?.length !== 1) return schema;
    const { allOf, ...further } = schema;
    return { ...this.resolve(allOf[0]), ...further };
  }

  /** Its type. @param {any} schema @returns {string} */
  kind(schema) {
    const found = this.resolve(schema);
    if (found.anyOf) return unique(found.anyOf.map((/** @type {any} */ each) => this.kind(each))).join(" or ");
    if ("const" in found) return JSON.stringify(found.const);
    if (found.enum?.length === 1) return JSON.stringify(found.enum[0]);
    if (Array.isArray(found.type)) return found.type.join(" or ");
    if (found.type === "array") return this.#many("list", found.items ?? {});
    if (found.properties) return found.title ?? "object";
    if (found.type === "object" && found.additionalProperties) return this.#many("map", found.additionalProperties);
    return found.type ?? (found.enum ? "string" : "anything");
  }

  /** @param {string} word @param {any} of */
  #many(word, of) {
    const kind = this.kind(of);
    return `${word} of ${kind.includes(" or ") ? `(${kind})` : kind}`;
  }

  /** What it may be. @param {any} schema @returns {string[]} */
  limits(schema) {
    const found = this.resolve(schema);
    if (found.properties) return [];
    const said = [
      found.enum?.length > 1 ? `one of ${found.enum.join(", ")}` : "",
      between(found.minimum, found.maximum),
      found.minLength === 1 && found.maxLength === undefined
        ? "not empty"
        : between(found.minLength, found.maxLength, "characters"),
      between(found.minItems, found.maxItems, "items"),
      found.pattern === PLAIN ? "no control characters" : found.pattern ? `pattern ${found.pattern}` : "",
      found.format === "date-time" ? "ISO 8601" : (found.format ?? ""),
      found.default !== undefined && found.default !== null ? `default ${found.default}` : "",
    ];
    return unique([...said.filter(Boolean), ...this.#within(found).flatMap((each) => this.limits(each))]);
  }

  /** Its unit, or "". @param {any} schema @returns {string} */
  unit(schema) {
    const found = this.resolve(schema);
    if (found["x-unit"] || found.properties) return found["x-unit"] ?? "";
    return (
      this.#within(found)
        .map((each) => this.unit(each))
        .find(Boolean) ?? ""
    );
  }

  /** What is said of it. @param {any} schema @returns {string} */
  what(schema) {
    if (schema.description) return schema.description;
    const found = this.resolve(schema);
    // An object's description tells of it where it is shown.
    if (found.properties) return "";
    return (
      found.description ??
      this.#within(found)
        .map((each) => this.what(each))
        .find(Boolean) ??
      ""
    );
  }

  /** The objects with members in it, each once. @param {any} schema @returns {any[]} */
  objects(schema) {
    const found = this.resolve(schema);
    if (found.properties) return [found];
    return [
      ...new Map(
        this.#within(found)
          .flatMap((each) => this.objects(each))
          .map((each) => [each.title, each]),
      ).values(),
    ];
  }

  /** @param {any} found @returns {any[]} */
  #within(found) {
    const map = typeof found.additionalProperties === "object" ? [found.additionalProperties] : [];
    return [...(found.anyOf ?? []), ...(found.items ? [found.items] : []), ...map];
  }

  /** All that can be looked for in a part of the document, in small letters. @param {any} part @returns {string} */
  words(part) {
    /** @type {Set<string>} */
    const seen = new Set();
    /** @type {string[]} */
    const found = [];
    const look = (/** @type {any} */ node) => {
      if (typeof node === "string") found.push(node);
      if (typeof node !== "object" || node === null) return;
      if (typeof node.$ref === "string" && !seen.has(node.$ref)) {
        seen.add(node.$ref);
        look(this.at(node.$ref));
      }
      for (const [name, value] of Object.entries(node)) {
        if (NOT_SOUGHT.has(name)) continue;
        if (!Array.isArray(node)) found.push(name);
        look(value);
      }
    };
    look(part);
    return unique(found).join("\n").toLowerCase();
  }
}
