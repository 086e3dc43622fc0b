// @ts-check
/** What the page knows of the race: kept from the messages and answers of the server, nothing drawn here. */

import { known } from "./format.js";
import { Standing } from "./standing.js";

/** Laps kept of a car. */
const MOST_LAPS = 200;

/** @param {{track: string, chassis: string}} about */
export const idOf = ({ track, chassis }) => `${track}\n${chassis}`;

/** A car, and all that is known of it. */
export class Car {
  /** @param {string} track @param {string} chassis */
  constructor(track, chassis) {
    this.id = idOf({ track, chassis });
    this.track = track;
    this.chassis = chassis;
    /** The newest value of each channel. @type {Map<string, any>} */
    this.channels = new Map();
    /** When each of them came [ms of the page]. @type {Map<string, number>} */
    this.channelAt = new Map();
    /** When the car was heard last [ms of the page]. */
    this.heardAt = -Infinity;
    /** Its last result and its last gap, as the server tells them. @type {any} */
    this.result = null;
    /** @type {any} */
    this.gap = null;
    /** @type {any} */
    this.summary = null;
    /** As /api/cars tells it. @type {any} */
    this.about = null;
    /** By number. @type {Map<number, any>} */
    this.laps = new Map();
    /** The fastest of each sector, and of each mini-sector, in clean laps [s]. @type {(number | null)[]} */
    this.bestSectors = [];
    /** @type {(number | null)[]} */
    this.bestMinis = [];
    /** The newest lap whose mini-sectors are known. @type {{lap: number, kind: string, times: (number | null)[]} | null} */
    this.miniLap = null;
  }

  /**
   * The number of the lap under way, as the tables of laps count; what the car itself sends may be some ahead of that.
   * @returns {number | null}
   */
  get lapUnderWay() {
    return this.lastLap ? this.lastLap.lap + 1 : (this.result?.lap ?? null);
  }

  /** A channel's newest value; null where none came for so long. @param {string} name @param {number} now @param {number} ms */
  recent(name, now, ms) {
    return now - (this.channelAt.get(name) ?? -Infinity) < ms ? (this.channels.get(name) ?? null) : null;
  }

  /** The last lap that ended, its number, time and kind. @returns {any} */
  get lastLap() {
    return this.result?.lastLap ?? null;
  }
}

export class Race {
  constructor() {
    /** @type {Map<string, Car>} */
    this.cars = new Map();
    /** As /api/laps tells them. @type {Map<string, any>} */
    this.tracks = new Map();
    this.standing = new Standing();
    /** Whether a lap has ended, or was corrected, since the laps were asked for. */
    this.lapsWanted = true;
    /** Whether all laps are wanted, not just the newest. */
    this.allLapsWanted = true;
  }

  /** Forget everything: the server has started anew. */
  clear() {
    this.cars.clear();
    this.tracks.clear();
    this.standing.clear();
    this.lapsWanted = this.allLapsWanted = true;
  }

  /** @param {{track: string, chassis: string}} about @returns {Car} */
  car(about) {
    const id = idOf(about);
    const found = this.cars.get(id) ?? new Car(about.track, about.chassis);
    this.cars.set(id, found);
    return found;
  }

  /**
   * The points of a message.
   * @param {any} message @param {number} now [ms of the page] @param {boolean} [old] not just sent
   */
  telemetry(message, now, old = false) {
    const at = old ? -Infinity : now;
    message.data.forEach((/** @type {any} */ point, /** @type {number} */ index) => {
      const car = this.car(point);
      if (!old) car.heardAt = now;
      // What only the points between have told is in the ranges alone.
      for (const [name, [least, greatest]] of Object.entries(message.ranges?.[index] ?? {})) {
        if (!(name in point)) this.#value(car, name, Math.abs(least) > Math.abs(greatest) ? least : greatest, at);
      }
      for (const [name, value] of Object.entries(point)) this.#value(car, name, value, at);
    });
  }

  /** @param {Car} car @param {string} name @param {any} value @param {number} at */
  #value(car, name, value, at) {
    car.channels.set(name, value);
    car.channelAt.set(name, at);
  }

  /** An insight_update. @param {any} message */
  update(message) {
    for (const result of message.data) {
      const car = this.car(result);
      if (result.lastLap?.lap !== car.lastLap?.lap) this.lapsWanted = true;
      // The length and the sectors of a track come with its laps.
      if (!this.tracks.has(result.track)) this.lapsWanted = true;
      car.result = result;
    }
    this.gaps(message.gaps);
    for (const insight of message.insights) this.standing.add(insight);
    if (message.meta?.corrections?.length || message.meta?.tracksChanged?.length) {
      this.lapsWanted = this.allLapsWanted = true;
    }
  }

  /** @param {any[]} gaps */
  gaps(gaps) {
    for (const gap of gaps) this.car(gap).gap = gap;
  }

  /** The answer of /api/laps. @param {any} answer @param {boolean} [all] whether it has all laps, not just the newest */
  laps(answer, all = false) {
    this.tracks = new Map(answer.tracks.map((/** @type {any} */ track) => [track.track, track]));
    for (const summary of answer.cars) this.car(summary).summary = summary;
    if (all) for (const car of this.cars.values()) [car.bestMinis, car.miniLap] = [[], null];
    for (const { mini_times_s: minis, ...lap } of answer.laps) {
      const car = this.car(lap);
      const { laps } = car;
      // Of another layout its parts are others.
      const comparable = lap.layout === this.tracks.get(lap.track)?.layout;
      if (comparable && lap.kind === "clean") car.bestMinis = least(car.bestMinis, minis);
      if (comparable && minis.some(known) && lap.lap >= (car.miniLap?.lap ?? 0)) {
        car.miniLap = { lap: lap.lap, kind: lap.kind, times: minis };
      }
      this.#outdo(lap, laps);
      laps.set(lap.lap, lap);
      if (laps.size > MOST_LAPS) laps.delete(Math.min(...laps.keys()));
    }
    for (const car of this.cars.values()) {
      const layout = this.tracks.get(car.track)?.layout;
      car.bestSectors = fastest([...car.laps.values()].filter((lap) => lap.layout === layout));
    }
  }

  /**
   * The best lap before is not the best any more, though it is too old to be told again.
   * @param {any} lap @param {Map<number, any>} own
   */
  #outdo(lap, own) {
    if (lap.best) for (const other of own.values()) other.best = false;
    if (!lap.field_best) return;
    for (const car of this.cars.values()) {
      if (car.track === lap.track) for (const other of car.laps.values()) other.field_best = false;
    }
  }

  /**
   * The answer of /api/cars: those it does not have are gone.
   * @param {any[]} cars @param {number} now [ms of the page] @param {number} [asked] when it was asked for [ms of the page]
   */
  known(cars, now, asked = -Infinity) {
    const ids = new Set(cars.map(idOf));
    for (const id of this.cars.keys()) if (!ids.has(id)) this.cars.delete(id);
    for (const about of cars) {
      const car = this.car(about);
      car.about = about;
      const heardAt = now - about.silent_s * 1000;
      // What a lost connection held up was not sent just when it came here.
      car.heardAt = car.heardAt < asked ? heardAt : Math.max(car.heardAt, heardAt);
    }
  }

  /** The tracks with cars on them. @returns {string[]} */
  trackNames() {
    return [...new Set([...this.cars.values()].map((car) => car.track))].sort();
  }

  /** The cars of a track in the order of the race; those without a place come last. @param {string | null} track */
  order(track) {
    const place = (/** @type {Car} */ car) => car.gap?.position ?? Infinity;
    const cars = [...this.cars.values()].filter((car) => car.track === track);
    return cars.sort((one, other) => place(one) - place(other) || (one.chassis < other.chassis ? -1 : 1));
  }
}

/** The fastest of each sector in clean laps [s]. @param {any[]} laps @returns {(number | null)[]} */
export function fastest(laps) {
  /** @type {(number | null)[]} */
  let best = [];
  for (const lap of laps) {
    if (lap.kind === "clean") best = least(best, lap.sector_times_s);
  }
  return best;
}

/**
 * The less of two lists of times, part by part.
 * @param {(number | null)[]} one [s] @param {(number | null)[]} other [s] @returns {(number | null)[]}
 */
export function least(one, other) {
  return Array.from({ length: Math.max(one.length, other.length) }, (_, part) => {
    const times = [one[part], other[part]].filter(known);
    return times.length ? Math.min(...times) : null;
  });
}
