// @ts-check
/**
 * The stream of a PitWall server in a browser, over as many connections as it takes.
 *
 * An ES module without dependencies; pitwall-client.d.ts has its types, docs/clients.md tells of it.
 *
 *     import { PitWallClient } from "/client/pitwall-client.js";
 *     const client = new PitWallClient();
 *     client.on("telemetry_update", (message) => message.data.forEach(show));
 *     client.on("gap", (gap) => console.warn(`${gap.points ?? "an unknown number of"} points missed`));
 *
 * Points are numbered within an epoch, one run of the server. The first connection asks for
 * ?snapshot=1, which tells the epoch and the numbers there are; from then on there is a position,
 * and each further one asks for what came after it, ?since=EPOCH:SEQ&insight_seq=N. After a restart
 * of the server nobody knows how much is missing; what it has got since is asked for once more, from 0.
 * A subscription leaves points out, and nothing is lost by that: "subscribed" and "resumed" say where
 * the numbers go on, which may be before the last one seen, for several points are thinned to one message.
 * pitwall/client/stream.py is the same in Python.
 */

/** @typedef {import("./pitwall-client.js").Position} Position */
/** @typedef {import("./pitwall-client.js").Message} Message */
/** @typedef {import("./pitwall-client.js").Options} Options */
/** @typedef {import("./pitwall-client.js").Subscription} Subscription */

/** Doublings after which a delay has long reached its ceiling. */
const MOST_DOUBLINGS = 32;

/** Exponential back-off with full jitter: anything from 0 to a ceiling that doubles with each failure. */
export class Backoff {
  /** @param {{first?: number, longest?: number, settled?: number, random?: () => number}} [settings] all but random in ms */
  constructor({ first = 500, longest = 10000, settled = 5000, random = Math.random } = {}) {
    this.first = first;
    this.longest = longest;
    this.settled = settled;
    this.random = random;
    this.doublings = 0;
  }

  /** A connection has ended; one that stood long enough counts as a success. @param {number} ms */
  stood(ms) {
    if (ms >= this.settled) this.doublings = 0;
  }

  /** How long to wait now [ms]. */
  delay() {
    const ceiling = Math.min(this.first * 2 ** this.doublings, this.longest);
    this.doublings = Math.min(this.doublings + 1, MOST_DOUBLINGS);
    return this.random() * ceiling;
  }
}

/** Where a client is in the stream, and what its messages mean for it; no network here. */
export class Stream {
  /** @param {{since?: Position | null, resume?: boolean, snapshot?: boolean}} [settings] */
  constructor({ since = null, resume = true, snapshot = false } = {}) {
    /** @type {Position | null} */
    this.position = since;
    this.resume = resume;
    this.snapshot = snapshot;
    this.counters = {
      connections: 0, points: 0, pointsLost: 0, pointsRepeated: 0, pointsConflated: 0,
      gaps: 0, unknownGaps: 0, insights: 0, insightsLost: 0,
    };
    /** Whether the connection is to be closed and a new one made at once. */
    this.again = false;
    this.complete = true;
    /** Whether the server has not said yet what it makes of the position. */
    this.joining = false;
  }

  /** What to ask the server for, before each connection. @returns {Record<string, string>} */
  query() {
    this.again = false;
    this.joining = true;
    const position = this.position;
    if (position === null || !this.resume) return { snapshot: "1" };
    /** @type {Record<string, string>} */
    const query = { since: `${position.epoch}:${position.seq}` };
    if (position.insight_seq !== null) query.insight_seq = String(position.insight_seq);
    return query;
  }

  /** The messages that one of the server means: itself, mostly. @param {any} content @returns {any[]} */
  take(content) {
    switch (content.type) {
      case "snapshot": return this.#snapshot(content);
      case "resumed": return this.#resumed(content);
      case "subscribed": return this.#subscribed(content);
      case "gap": return this.#gap(content);
      case "telemetry_update": return this.#telemetry(content);
      case "insight_update": return this.#insight(content);
      default: return [{ ...content, recovered: true }];
    }
  }

  /** @param {any} content */
  #snapshot(content) {
    const found = this.#catchUp(content.epoch, content.seq, "not_resumed");
    this.position = { epoch: content.epoch, seq: content.seq, insight_seq: content.insight_seq };
    this.complete = true;
    this.joining = false;
    return this.snapshot ? [...found, { ...content, recovered: true }] : found;
  }

  /** @param {any} content */
  #resumed(content) {
    const position = this.position;
    this.joining = false;
    if (position !== null && position.epoch === content.epoch) {
      // If all could be had, nothing that is wanted lies between.
      const seq = content.recovered ? Math.max(position.seq, content.seq) : position.seq;
      this.position = { ...position, seq, insight_seq: position.insight_seq ?? content.insight_seq };
    }
    return [content];
  }

  /** @param {any} content */
  #subscribed(content) {
    const position = this.position;
    if (position !== null && position.epoch === content.epoch && !this.joining) {
      this.position = { ...position, seq: content.seq };
    }
    return [{ ...content, recovered: true }];
  }

  /** @param {any} content */
  #gap(content) {
    const position = this.position;
    if (position !== null && position.epoch !== content.epoch) {
      this.position = { epoch: content.epoch, seq: 0, insight_seq: 0 };
      this.again = true;
    } else if (position !== null && content.last !== null) {
      this.position = { ...position, seq: Math.max(position.seq, content.last) };
    }
    return [this.#lost(content)];
  }

  /** @param {any} content */
  #telemetry(content) {
    const found = this.#catchUp(content.epoch, content.prev, "skipped");
    const position = this.position ?? { epoch: content.epoch, seq: content.prev, insight_seq: null };
    const { prev, seq, data, conflated = 0 } = content;
    const repeated = position.seq - prev;
    if (repeated > 0 && seq <= position.seq) {
      this.counters.pointsRepeated += data.length;
      return found;
    }
    /** @type {any} */
    const cut = {};
    // A message of fewer points than numbers has left some out on purpose; which of them are known can't be told.
    if (repeated > 0 && data.length === seq - prev) {
      this.counters.pointsRepeated += repeated;
      cut.prev = position.seq;
      for (const name of ["data", "counts", "ranges"]) if (name in content) cut[name] = content[name].slice(repeated);
    }
    this.position = { ...position, seq: Math.max(seq, position.seq) };
    this.counters.points += (cut.data ?? data).length;
    this.counters.pointsConflated += conflated;
    const recovered = this.complete;
    this.complete = true;
    return [...found, { ...content, ...cut, recovered }];
  }

  /** @param {any} content */
  #insight(content) {
    const number = content.insight_seq;
    let lost = 0;
    /** @type {any[]} */
    let found = [];
    if (this.position !== null && content.epoch !== undefined && this.position.epoch !== content.epoch) {
      found = this.#catchUp(content.epoch, 0, "other_epoch");
      this.position = null;
    }
    const position = this.position;
    if (position !== null && number !== undefined) {
      if (position.insight_seq !== null) {
        if (number <= position.insight_seq) return found;
        lost = number - position.insight_seq - 1;
      }
      this.position = { ...position, insight_seq: number };
    }
    this.counters.insights += 1;
    this.counters.insightsLost += lost;
    return [...found, { ...content, recovered: lost === 0 }];
  }

  /**
   * Go to a place in the stream that the server has gone to without saying why; the gap, if it is one.
   * @param {string} epoch @param {number} seq @param {string} reason
   */
  #catchUp(epoch, seq, reason) {
    const position = this.position;
    if (position === null) return [];
    if (position.epoch !== epoch) {
      this.position = { epoch, seq, insight_seq: null };
      return [this.#lost({ type: "gap", epoch, first: null, last: null, points: null, reason: "other_epoch" })];
    }
    if (position.seq >= seq) return [];
    this.position = { ...position, seq };
    return [this.#lost({ type: "gap", epoch, first: position.seq + 1, last: seq, points: seq - position.seq, reason })];
  }

  /** @param {any} gap */
  #lost(gap) {
    this.counters.gaps += 1;
    if (gap.points === null) this.counters.unknownGaps += 1;
    else this.counters.pointsLost += gap.points;
    this.complete = false;
    return { ...gap, recovered: false };
  }
}

/** What can be chosen among; answers to what a client says come in any case. */
const TYPES = ["telemetry_update", "insight_update", "quality"];
/** What a subscription has. */
const MEMBERS = /** @type {const} */ (["chassis", "track", "channels", "types", "max_hz"]);

/** Keeps a subscription over all connections: the last one asked for that the server has not refused. */
export class Subscribing {
  /** @param {Subscription | null} first what the first connection asks for */
  constructor(first = null) {
    this.wanted = first && checked(first);
    this.held = this.said = this.wanted;
    /** @type {Subscription[]} */
    this.asked = [];
  }

  /** What the address of a new connection has to say. @returns {Record<string, string>} */
  connecting() {
    this.asked = [];
    this.said = this.wanted;
    if (this.wanted === null) return {};
    const said = Object.entries(this.wanted).map(([name, value]) => [name, String(value)]);
    // Who asks for nothing is told less.
    return said.length ? Object.fromEntries(said) : { types: TYPES.join() };
  }

  /** The message that a connection has to say, since it was made before that was wanted. @returns {string | null} */
  message() {
    if (this.wanted === null || this.wanted === this.said) return null;
    this.said = this.wanted;
    this.asked.push(this.wanted);
    return JSON.stringify({ type: "subscribe", ...this.wanted });
  }

  /** A message of the server has come. @param {any} content */
  answered(content) {
    if (content.type === "subscribed") {
      this.held = checked(content);
      // Otherwise it answers the address.
      if (this.asked.length && same(this.asked[0], this.held)) this.asked.shift();
    } else if (content.type === "error" && content.request === "subscribe" && this.asked.length) {
      this.asked.shift();
      if (!this.asked.length && this.wanted === this.said) this.wanted = this.said = this.held;
    }
  }
}

/**
 * What is limited of a subscription, if an address can say it; a copy.
 * @param {any} subscription @returns {Subscription}
 */
function checked(subscription) {
  /** @type {any} */
  const found = {};
  for (const name of MEMBERS) {
    const value = subscription[name];
    if (value === undefined || value === null) continue;
    const names = Array.isArray(value) && value.length > 0 && value.every((one) => one && !String(one).includes(","));
    if (name !== "max_hz" && !names) throw new TypeError(`${name} is ${value}, wanted a list of names without commas`);
    found[name] = value;
  }
  return found;
}

/** Whether both ask for the same, in whatever order. @param {Subscription} one @param {Subscription} other */
function same(one, other) {
  const said = (/** @type {Subscription} */ subscription) =>
    JSON.stringify(MEMBERS.map((name) => {
      const value = subscription[name] ?? (name === "types" ? TYPES : null);
      return Array.isArray(value) ? [...new Set(value)].sort() : value;
    }));
  return said(one) === said(other);
}

/** A client that comes back by itself. It connects when it is made, and ends with close(). */
export class PitWallClient {
  #closed = false;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Map<string, Set<(message: any) => void>>} */
  #listeners = new Map();
  #url;
  #stream;
  #backoff;
  #silence;
  #subscribing;
  #ticket;
  /** The try that is being made; another one, or none, has its ticket come too late. */
  #turn = 0;
  #connect = () => this.#open();

  /** @param {Options} [options] */
  constructor(options = {}) {
    this.#url = websocketUrl(options.url ?? "/ws/realtime");
    this.#stream = new Stream(options);
    this.#backoff = new Backoff(options.backoff);
    this.#silence = options.silence ?? 0;
    this.#subscribing = new Subscribing(options.subscribe);
    this.#ticket = options.ticket ?? null;
    /** @type {"connecting" | "open" | "waiting" | "closed"} */
    this.state = "connecting";
    // A network that is back is no reason to wait on.
    globalThis.addEventListener?.("online", this.#hurry);
    // Whoever makes the client has the time to add listeners.
    this.#timer = setTimeout(this.#connect, 0);
  }

  /** What has come and what has not. */
  get counters() {
    return this.#stream.counters;
  }

  /** Where the stream is, to resume from; null as long as that is not known. */
  get position() {
    return this.#stream.position;
  }

  /**
   * Be told of messages of a type, of all ("message"), or of the connection ("state").
   * @param {string} type @param {(message: any) => void} listener @returns {() => void} ends it
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Ask for something else from now on, on further connections too; it replaces all that was asked for before.
   * The answer comes as a message: "subscribed", or "error" with the request "subscribe", and then the last one holds on.
   * @param {Subscription} subscription
   */
  subscribe(subscription) {
    this.#subscribing.wanted = checked(subscription);
    if (this.state === "open") this.#say();
  }

  #say() {
    const message = this.#subscribing.message();
    if (message !== null) this.#socket?.send(message);
  }

  /** End the stream. */
  close() {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.#hurry);
    clearTimeout(this.#timer);
    this.#leave(1000);
    this.#enter({ state: "closed" });
  }

  #hurry = () => {
    if (this.state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#open();
  };

  #open() {
    this.#enter({ state: "connecting" });
    if (this.#closed) return;
    const turn = ++this.#turn;
    if (this.#ticket === null) return this.#dial(null);
    Promise.resolve().then(this.#ticket).then(
      (ticket) => turn === this.#turn && this.#dial(ticket),
      (error) => {
        if (turn !== this.#turn) return;
        console.error("PitWall: there is no ticket", error);
        this.#wait(null);
      },
    );
  }

  /** @param {string | null} ticket */
  #dial(ticket) {
    const url = new URL(this.#url);
    const about = Object.entries(this.#subscribing.connecting());
    // A subscription is in place of all that the URL asks for.
    if (about.length) MEMBERS.forEach((name) => url.searchParams.delete(name));
    for (const [name, value] of [...Object.entries(this.#stream.query()), ...about]) url.searchParams.set(name, value);
    if (ticket !== null) url.searchParams.set("ticket", ticket);
    const socket = new WebSocket(url);
    let openedAt = -1;
    this.#socket = socket;
    socket.onopen = () => {
      openedAt = performance.now();
      this.counters.connections += 1;
      this.#listen();
      this.#enter({ state: "open" });
      this.#say();
    };
    socket.onmessage = (event) => {
      this.#listen();
      let messages;
      try {
        messages = this.#stream.take(JSON.parse(event.data));
      } catch (error) {
        console.error("PitWall: this is no message of its server", error);
        return;
      }
      for (const message of messages) {
        if (this.#closed) return;
        this.#subscribing.answered(message);
        this.#emit(message.type, message);
        this.#emit("message", message);
      }
      if (this.#stream.again && !this.#closed) {
        this.#leave(1000);
        this.#open();
      }
    };
    socket.onclose = (event) => {
      if (openedAt >= 0) this.#backoff.stood(performance.now() - openedAt);
      this.#wait(event.code);
    };
  }

  /** @param {number | null} code of the close, null when it was this client that gave up */
  #wait(code) {
    this.#leave(1000);
    const delay = this.#backoff.delay();
    this.#timer = setTimeout(this.#connect, delay);
    this.#enter({ state: "waiting", code, delay });
  }

  /** A connection that nothing comes over may be dead; a page is not told of pings. */
  #listen() {
    clearTimeout(this.#timer);
    if (this.#silence > 0) this.#timer = setTimeout(() => this.#wait(null), this.#silence);
  }

  /** @param {number} code */
  #leave(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#turn += 1;
    clearTimeout(this.#timer);
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  /** @param {{state: "connecting" | "open" | "waiting" | "closed", code?: number | null, delay?: number}} change */
  #enter(change) {
    this.state = change.state;
    this.#emit("state", change);
  }

  /** @param {string} type @param {any} message */
  #emit(type, message) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(message);
      } catch (error) {
        // A listener that fails must not cost the others their messages.
        console.error(error);
      }
    }
  }
}

/** @param {string | URL} url of the server or its WebSocket, also relative to the page */
function websocketUrl(url) {
  const found = new URL(url, globalThis.location?.href);
  found.protocol = found.protocol.replace(/^http/, "ws");
  if (found.pathname === "/") found.pathname = "/ws/realtime";
  found.hash = "";
  return found.href;
}
