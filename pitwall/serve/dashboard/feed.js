// @ts-check
/** Fills the race from the stream and the tables of the server, and notes how well that goes. */

import { PitWallClient } from "/client/pitwall-client.js";
import { Delays } from "./delays.js";
import { idOf } from "./race.js";
import { CHANNELS } from "./trace.js";

/** Telemetry is wanted so often [1/s]; between, the map goes on by itself. */
const MAX_HZ = 10;
/**
 * The channels that are wanted as long as no car is selected: where cars are, and what their laps are drawn of, for a
 * best lap is to be there when its car is selected.
 */
const FEW = ["lap", "lapdist_m", "timestamp", "VBOX_Lat_Min", "VBOX_Long_Minutes", ...CHANNELS];
const HEALTH_MS = 2000;
const CARS_MS = 5000;
const LAPS_MS = 1500;
/** So long after a connection came back, what was missed has come. */
const SETTLED_MS = 500;
/** All laps are asked for at the start and after a correction, else the newest. */
const ALL_LAPS = 3000;
const NEWEST_LAPS = 200;

/** @typedef {import("./race.js").Race} Race */
/** @typedef {import("./server.js").Server} Server */

export class Feed {
  /**
   * @param {Race} race @param {Server} server
   * @param {{websocket: string, locked: boolean, changed: () => void, say: (text: string) => void,
   *   known: (insights: any[]) => void}} about
   */
  constructor(race, server, { websocket, locked, changed, say, known }) {
    this.race = race;
    this.server = server;
    this.changed = changed;
    this.say = say;
    this.known = known;
    /** "connecting", "open", "waiting" */
    this.state = "connecting";
    /** When it came to be so [ms of the page]. */
    this.since = performance.now();
    this.retryAt = 0;
    this.quality = "full";
    /** The last answer of /api/health. @type {any} */
    this.health = null;
    /** Whose refusals grew last, by door and reason. @type {{door: string, reason: string, at: number} | null} */
    this.refusal = null;
    /** The server's clock less this one [ms]. */
    this.offsetMs = 0;
    this.delays = new Delays();
    /** @type {Map<string, ReturnType<typeof setTimeout>>} */
    this.timers = new Map();
    /** When a connection was lost that is not there again; else 0 [ms of the page]. */
    this.lostAt = 0;
    this.client = new PitWallClient({
      url: websocket,
      snapshot: true,
      subscribe: subscription(false),
      ...(locked ? { ticket: () => server.ticket() } : {}),
    });
    this.#listen();
  }

  /** Ask for all channels, or for few. @param {boolean} all */
  follow(all) {
    this.client.subscribe(subscription(all));
  }

  /** From the car to this page [ms]; null where the cars' times are not of now, or nothing comes. */
  get delayMs() {
    return this.delays.median(performance.now());
  }

  #listen() {
    const { client, race } = this;
    client.on("state", (change) => this.#enter(change));
    client.on("snapshot", (message) => {
      race.telemetry(message, performance.now(), true);
      if (message.insight) race.update(message.insight);
      this.changed();
    });
    client.on("telemetry_update", (message) => {
      const first = race.cars.size === 0;
      race.telemetry(message, performance.now());
      this.#measure(message.data);
      if (first) this.changed();
    });
    client.on("insight_update", (message) => {
      race.update(message);
      if (race.lapsWanted) this.#plan("laps", LAPS_MS, () => this.#laps());
      this.changed();
    });
    client.on("quality", ({ level }) => {
      this.quality = level;
      this.changed();
    });
    client.on("resumed", ({ recovered }) => {
      // What was missed comes now, and is older than it looks: when the cars were heard the server knows.
      this.#plan("heard", SETTLED_MS, () => this.#askCars());
      const seconds = Math.max(Math.round((performance.now() - this.lostAt) / 1000), 1);
      if (recovered && this.lostAt > 0) this.say(`Connected again after ${seconds} s. Nothing is missing.`);
      this.lostAt = 0;
    });
    client.on("gap", (gap) => {
      if (gap.reason === "other_epoch") {
        race.clear();
        this.lostAt = 0;
        this.#tables();
        this.say("The server was restarted. The race is shown from then on.");
      } else {
        this.say(`${gap.points} points are missing: ${gap.reason}.`);
      }
      this.changed();
    });
  }

  /** @param {{state: string, delay?: number}} change */
  #enter({ state, delay = 0 }) {
    const now = performance.now();
    if (state === "waiting" && this.state === "open") this.lostAt = now;
    // Trying again is the same as waiting, for whoever looks.
    if (!(state === "connecting" && this.lostAt > 0)) {
      if (state !== this.state) this.since = now;
      this.state = state;
    }
    this.retryAt = now + delay;
    if (state === "open") {
      this.quality = "full";
      this.#tables();
    } else {
      for (const timer of this.timers.values()) clearTimeout(timer);
      this.timers.clear();
    }
    this.changed();
  }

  #tables() {
    this.race.lapsWanted = this.race.allLapsWanted = true;
    this.#plan("health", 0, () => this.#askHealth());
    this.#plan("cars", 0, () => this.#askCars());
    this.#plan("laps", 0, () => this.#laps());
    this.#plan("said", 0, () => this.#said());
  }

  /** Do something after a time, once. @param {string} name @param {number} ms @param {() => Promise<void>} work */
  #plan(name, ms, work) {
    if (ms > 0 && this.timers.has(name)) return;
    clearTimeout(this.timers.get(name));
    const timer = setTimeout(async () => {
      try {
        await work();
      } catch (error) {
        if (this.client.state === "open") console.warn(`PitWall: ${name} could not be had:`, error);
      }
      if (this.timers.get(name) === timer) this.timers.delete(name);
      this.changed();
      const every = { health: HEALTH_MS, cars: CARS_MS }[name];
      if (every !== undefined && this.client.state === "open") this.#plan(name, every, work);
    }, ms);
    this.timers.set(name, timer);
  }

  async #askHealth() {
    const asked = performance.now();
    const health = await this.server.ask("/api/health");
    const tookMs = performance.now() - asked;
    this.offsetMs = Date.parse(health.now) - (Date.now() - tookMs / 2);
    const grown = refusedSince(this.health?.metrics.refused ?? health.metrics.refused, health.metrics.refused);
    if (grown !== null) this.refusal = { ...grown, at: performance.now() };
    this.health = health;
  }

  async #askCars() {
    const asked = performance.now();
    const { cars } = await this.server.ask("/api/cars");
    this.race.known(cars, performance.now(), asked);
  }

  async #laps() {
    const all = this.race.allLapsWanted;
    const limit = all ? ALL_LAPS : NEWEST_LAPS;
    this.race.lapsWanted = this.race.allLapsWanted = false;
    this.race.laps(await this.server.ask(`/api/laps?limit=${limit}`), all);
  }

  async #said() {
    const { insights } = await this.server.ask("/api/insights");
    this.known(insights);
    for (const insight of insights) this.race.standing.add(insight);
    this.race.gaps((await this.server.ask("/api/gaps")).gaps);
  }

  /** @param {any[]} points */
  #measure(points) {
    // The time that the server gave to a point tells nothing of its way here.
    const stamped = (/** @type {any} */ point) => this.race.cars.get(idOf(point))?.about?.time?.trouble.includes("stamped");
    const times = points.filter((point) => !stamped(point)).map((point) => Date.parse(point.meta_time));
    this.delays.add(times, Date.now() + this.offsetMs, performance.now());
  }
}

/** @param {boolean} all whether all channels are wanted @returns {any} */
function subscription(all) {
  return {
    types: ["telemetry_update", "insight_update", "quality"],
    max_hz: MAX_HZ,
    ...(all ? {} : { channels: FEW }),
  };
}

/**
 * The door and the reason whose count grew most from one answer to the next; null where none did.
 * @param {Record<string, Record<string, number>>} before @param {Record<string, Record<string, number>>} after
 */
export function refusedSince(before, after) {
  let most = 0;
  let found = null;
  for (const [door, reasons] of Object.entries(after)) {
    for (const [reason, count] of Object.entries(reasons)) {
      const more = count - (before[door]?.[reason] ?? 0);
      if (more > most) [most, found] = [more, { door, reason }];
    }
  }
  return found;
}
