// @ts-check
/** Making and changing elements; text is only ever put in as text. */

/**
 * A new element. "class", "text" and "hidden" are properties, "on…" are listeners, all else attributes.
 * @param {string} tag @param {Record<string, any>} [about] @param {(Node | string)[]} children
 * @returns {any}
 */
export function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "hidden") element.hidden = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** The element of an id. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** Show a text, where another one is shown. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set a class name, where it is another one. @param {Element} element @param {string} name */
export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/**
 * Set an attribute, or take it away by null.
 * @param {Element} element @param {string} name @param {string | null} value
 */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Keep as many children as there are items, each made once and then filled.
 * @template T
 * @param {Element} parent @param {T[]} items @param {() => any} create @param {(element: any, item: T) => void} fill
 */
export function fillList(parent, items, create, fill) {
  while (parent.children.length > items.length) parent.lastElementChild?.remove();
  while (parent.children.length < items.length) parent.append(create());
  items.forEach((item, index) => fill(parent.children[index], item));
}
