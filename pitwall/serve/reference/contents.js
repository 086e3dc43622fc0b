// @ts-check
/** The sections of the page, what leads to them, and the filter that leaves few of them. */

import { byId, make, setText } from "/dashboard/dom.js";

/**
 * @typedef {{id: string, title: (Node | string)[], words: string, element: HTMLElement}} Entry
 * @typedef {{id: string, title: string, about: Node[], entries: Entry[]}} Section
 */

export class Contents {
  /** @param {Section[]} sections */
  constructor(sections) {
    this.input = byId("filter");
    this.found = byId("found");
    this.sections = sections.map((section) => {
      const title = make("h2", { text: section.title });
      const element = make("section", { id: section.id, "aria-label": section.title }, title, ...section.about);
      const entries = section.entries.map((entry) => {
        element.append(entry.element);
        const link = make(
          "a",
          { href: `#${entry.id}` },
          ...entry.title.map((each) => (typeof each === "string" ? each : each.cloneNode(true))),
        );
        return { ...entry, item: make("li", {}, link), link };
      });
      const list = make("ul", {}, ...entries.map(({ item }) => item));
      const item = make("li", {}, make("a", { class: "section", href: `#${section.id}`, text: section.title }), list);
      return { element, entries, item };
    });
    byId("content").append(...this.sections.map(({ element }) => element));
    const list = make("ul", {}, ...this.sections.map(({ item }) => item));
    this.menu = make("details", {}, make("summary", { text: "Contents" }), list);
    byId("toc").append(this.menu);
    // Where there is no room beside the text, the contents are folded.
    this.narrow = matchMedia("(max-width: 1000px)");
    const fit = () => void (this.menu.open = !this.narrow.matches);
    this.narrow.addEventListener("change", fit);
    fit();
    this.menu.addEventListener("click", (/** @type {any} */ event) => {
      if (event.target.closest("a") && this.narrow.matches) this.menu.open = false;
    });
    this.input.addEventListener("input", () => this.filter(this.input.value));
    document.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("hashchange", () => this.show());
    this.#watch();
  }

  /** Leave what has all of these words. @param {string} text */
  filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    let all = 0;
    for (const { element, entries, item } of this.sections) {
      const fitting = entries.filter((entry) => words.every((word) => entry.words.includes(word)));
      for (const entry of entries) entry.element.hidden = entry.item.hidden = !fitting.includes(entry);
      element.hidden = item.hidden = fitting.length === 0;
      left += fitting.length;
      all += entries.length;
    }
    setText(this.found, words.length ? `${left} of ${all}` : "");
  }

  /** Go where the address says, which may be what the filter leaves out. */
  show() {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      this.input.value = "";
      this.filter("");
    }
    target.scrollIntoView();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && target === this.input) {
      this.input.value = "";
      this.filter("");
    } else if (
      event.key === "/" &&
      !target.matches("input, select, textarea") &&
      !document.querySelector("dialog[open]")
    ) {
      event.preventDefault();
      this.input.select();
    }
  }

  /** Mark what is being read. */
  #watch() {
    const links = new Map(this.sections.flatMap(({ entries }) => entries.map(({ element, link }) => [element, link])));
    /** @type {Set<Element>} */
    const seen = new Set();
    const observer = new IntersectionObserver(
      (changes) => {
        for (const { target, isIntersecting } of changes) isIntersecting ? seen.add(target) : seen.delete(target);
        const first = [...links.keys()].find((element) => seen.has(element));
        for (const [element, link] of links) {
          if (element === first) link.setAttribute("aria-current", "location");
          else link.removeAttribute("aria-current");
        }
        if (first && !this.narrow.matches) near(links.get(first));
      },
      { rootMargin: "-15% 0px -60% 0px" },
    );
    for (const element of links.keys()) observer.observe(element);
  }
}

/** Keep a link where it is seen, without the page going along. @param {any} link */
function near(link) {
  const box = byId("toc");
  const top = link.getBoundingClientRect().top - box.getBoundingClientRect().top;
  if (top < 0 || top > box.clientHeight - 40) box.scrollTop += top - box.clientHeight / 2;
}
