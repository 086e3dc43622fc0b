// @ts-check
/** Asks the server by REST, with the key where one is needed. */

const NAME = "pitwall.key";

/** An answer that is none. */
export class Refused extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Server {
  /** @type {string | null} */
  #key = null;

  /** @param {(why: string) => void} wanted told when a key is wanted, and why */
  constructor(wanted) {
    this.wanted = wanted;
    try {
      this.#key = sessionStorage.getItem(NAME);
    } catch {
      // Then the key is kept as long as the page.
    }
  }

  get hasKey() {
    return this.#key !== null;
  }

  /** Use a key from now on, or none any more; it is kept as long as the tab. @param {string | null} key */
  use(key) {
    this.#key = key;
    try {
      if (key === null) sessionStorage.removeItem(NAME);
      else sessionStorage.setItem(NAME, key);
    } catch {
      // As above.
    }
  }

  /** An answer, whatever it is. @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} */
  send(path, options = {}) {
    const headers = new Headers(options.headers);
    if (this.#key !== null) headers.set("Authorization", `Bearer ${this.#key}`);
    return fetch(path, { ...options, headers, signal: AbortSignal.timeout(10000) });
  }

  /** The JSON of an answer. @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
  async ask(path, options = {}) {
    const key = this.#key;
    const answer = await this.send(path, { ...options, headers: { Accept: "application/json" } });
    const content = await answer.json();
    // An unwell server tells what it knows by 503.
    if (answer.ok || (answer.status === 503 && "metrics" in content)) return content;
    if ([401, 403, 429].includes(answer.status) && key === this.#key) this.wanted(String(content.error));
    throw new Refused(answer.status, String(content.error));
  }

  /** A ticket for one connection to the WebSocket. @returns {Promise<string>} */
  async ticket() {
    return (await this.ask("/api/ticket", { method: "POST" })).ticket;
  }
}
