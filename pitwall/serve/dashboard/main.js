// @ts-check
/** The page: what there is, and when it is drawn. */

import { AlertDialog } from "./alertdialog.js";
import { Alerts } from "./alerts.js";
import { notify } from "./alertways.js";
import { Arriving } from "./arriving.js";
import { Controls } from "./controls.js";
import { Detail } from "./detail.js";
import { byId, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { CarDialog, hiddenSaid } from "./hidden.js";
import { Insights } from "./insights.js";
import { KeyDialog } from "./keydialog.js";
import { TrackMap } from "./map.js";
import { idOf, Race } from "./race.js";
import { Recorder } from "./recorder.js";
import { choose } from "./selection.js";
import { Server } from "./server.js";
import * as settingsFile from "./settings.js";
import { Tower } from "./tower.js";
import { Traces } from "./traces.js";
import { TrustBar } from "./trust.js";

/** What tells how old something is, is drawn so often in any case [ms]. */
const TICK_MS = 1000;
/** The channels of selected cars are drawn so often [ms]. */
const DETAIL_MS = 200;
const NOTICE_MS = 12000;
/** Points that the server tells at once, at most. */
const MOST_RECENT = 5000;

const said = (/** @type {string} */ name) =>
  document.querySelector(`meta[name="pitwall-${name}"]`)?.getAttribute("content") ?? "";
const locked = said("keys") === "needed";

const settings = settingsFile.load();
const race = new Race();
const recorder = new Recorder();
/** @type {Feed | null} */
let feed = null;
/** @type {string[]} */
let selected = [];
let dirty = true;
let drawnAt = -Infinity;
let detailAt = -Infinity;
let noticeAt = -Infinity;

const changed = () => void (dirty = true);

const keys = new KeyDialog((key) => {
  server.use(key);
  start();
});
const server = new Server((why) => {
  server.use(null);
  feed?.client.close();
  feed = null;
  keys.ask(why);
});

const tower = new Tower(byId("tower"), select);
const map = new TrackMap(byId("map"), select);
const detail = new Detail(byId("detail"), new Traces(recorder, meanwhile), () => setSelected([]));
const trust = new TrustBar(byId("trust"));
const arriving = new Arriving(byId("arriving"), locked);
const insights = new Insights(byId("insights"), (path) => server.ask(path), {
  severity: settings.severity,
  choose: (severity) => {
    settings.severity = severity;
    keep();
  },
});
const carDialog = new CarDialog(settings, keep);
const alertDialog = new AlertDialog(settings, keep);
/** Whether a car is looked at, or must be. @param {any} insight */
const wanted = (insight) =>
  insight.track === shownTrack() &&
  (!settings.hidden.includes(idOf(insight)) || (insight.severity === "critical" && insight.state !== "cleared"));
const alerts = new Alerts(settings, { wanted, ways: { sound: (insight) => alertDialog.play(insight), notify } });
const controls = new Controls(byId("controls"), settings, {
  changed: () => {
    map.redraw();
    keep();
  },
  move: (step) => tower.move(step),
  choose: () => tower.focused !== null && select(tower.focused),
  clear: () => setSelected([]),
  cars: () => carDialog.open(race.order(shownTrack())),
  alerts: () => alertDialog.open(),
  alertWords: () => alertDialog.words,
});

function keep() {
  settingsFile.save(settings);
  changed();
}

/** @param {string} id */
function select(id) {
  setSelected(choose(selected, id));
}

/** @param {string[]} ids */
function setSelected(ids) {
  if (ids.length > 0 !== selected.length > 0) feed?.follow(ids.length > 0);
  selected = ids;
  detailAt = -Infinity;
  changed();
}

/**
 * Do what stops the page for a second or more, in which the stream has to be thinned; then get what was left out, for
 * else every car's lap would have a hole.
 * @param {() => Promise<any>} work
 */
async function meanwhile(work) {
  const began = performance.now();
  recorder.pause();
  try {
    return await work();
  } finally {
    const seconds = (performance.now() - began) / 1000 + 2;
    const points = Math.min(Math.ceil(seconds * (feed?.health?.metrics.messageRate ?? 0)), MOST_RECENT);
    const answer = points > 0 ? server.ask(`/api/recent/${points}`) : Promise.resolve({ recent: [] });
    answer.catch(() => ({ recent: [] })).then(({ recent }) => recorder.resume(recent, race));
  }
}

/** @param {string} text */
function say(text) {
  setText(byId("notice"), text);
  byId("notice").hidden = false;
  noticeAt = performance.now();
}

function start() {
  const known = (/** @type {any[]} */ insights) => alerts.know(insights);
  feed = new Feed(race, server, { websocket: said("websocket"), locked, changed, say, known });
  if (selected.length) feed.follow(true);
  const tell = (/** @type {any} */ message) => {
    map.tell(race, message, performance.now());
    recorder.telemetry(message, race);
  };
  feed.client.on("snapshot", tell);
  feed.client.on("telemetry_update", tell);
  feed.client.on("snapshot", ({ insight }) => known(insight?.insights ?? []));
  feed.client.on("insight_update", (message) => alerts.tell(message.insights));
  feed.client.on("gap", ({ reason }) => {
    if (reason !== "other_epoch") return;
    map.clear();
    recorder.clear();
    alerts.clear();
  });
}

/** The track that is shown: the chosen one, or that with the most cars. @returns {string | null} */
function shownTrack() {
  const names = race.trackNames();
  if (settings.track !== null && names.includes(settings.track)) return settings.track;
  const cars = (/** @type {string} */ name) => race.order(name).length;
  return names.sort((one, other) => cars(other) - cars(one))[0] ?? null;
}

/** @param {number} now [ms of the page] */
function draw(now) {
  drawnAt = now;
  dirty = false;
  const track = shownTrack();
  selected = selected.filter((id) => race.cars.get(id)?.track === track && !settings.hidden.includes(id));
  const hidden = race.order(track).filter((car) => settings.hidden.includes(car.id));
  const some = race.cars.size > 0;
  byId("arriving").hidden = some || feed === null || feed.health === null;
  byId("left").hidden = !some;
  byId("map").hidden = !settings.map;
  byId("insights").hidden = !settings.insights;
  byId("right").hidden = !some || (!settings.map && !settings.insights);
  byId("demo").hidden = !feed?.health?.demo;
  byId("notice").hidden = now - noticeAt > NOTICE_MS;
  document.body.classList.toggle("offline", feed !== null && feed.state !== "open");
  controls.show(race.trackNames(), track, hidden.length);
  byId("trust").hidden = feed === null;
  if (feed !== null) trust.show(feed, race, now);
  if (feed !== null && !some) arriving.show(feed, now);
  if (!some) return;
  const hiddenIds = new Set(settings.hidden);
  tower.show(race, track, selected, now, hiddenIds, hiddenSaid(hidden, race.standing.list(track, "critical")));
  insights.show(race.standing.list(track, settings.severity).filter(wanted));
}

/** @param {number} now */
function drawDetail(now) {
  detailAt = now;
  const cars = selected.map((id) => race.cars.get(id)).filter((car) => car !== undefined);
  const track = cars[0]?.track ?? null;
  detail.show(cars, race.standing.list(track, "low"), race.tracks.get(track ?? ""), settings.units, now);
}

function frame() {
  const now = performance.now();
  if (dirty || now - drawnAt >= TICK_MS) draw(now);
  if (now - detailAt >= (selected.length ? DETAIL_MS : TICK_MS)) drawDetail(now);
  if (settings.map && race.cars.size > 0) map.draw(race, shownTrack(), selected, now, new Set(settings.hidden));
  requestAnimationFrame(frame);
}

if (locked && !server.hasKey) keys.ask("");
else start();
requestAnimationFrame(frame);
