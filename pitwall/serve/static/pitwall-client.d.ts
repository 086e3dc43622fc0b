/** A place in the stream, to resume from. */
export interface Position {
  /** The run of the server. */
  epoch: string;
  /** The last point seen. */
  seq: number;
  /** The last insight_update seen; null asks for none that were missed. */
  insight_seq: number | null;
}

/** A point as it came; the vendor's own fields are in it too. */
export interface Point {
  track: string;
  chassis: string;
  meta_time: string;
  lap?: number;
  lapdist_m?: number;
  speed_kmh?: number;
  accx_can?: number;
  accy_can?: number;
  Steering_Angle?: number;
  pbrake_f?: number;
  rpm?: number;
  [field: string]: string | number | boolean | null | undefined;
}

/** What is wanted of the stream; null or left out is all there is. */
export interface Subscription {
  /** Of these cars. */
  chassis?: string[] | null;
  /** Of cars on these tracks. */
  track?: string[] | null;
  /** These channels of a point, besides track, chassis and meta_time. */
  channels?: string[] | null;
  types?: ("telemetry_update" | "insight_update" | "quality")[] | null;
  /** Telemetry at most so often, the newest point of each car; 0.1 to 100 [1/s]. */
  max_hz?: number | null;
}

interface Received {
  /** Whether all is there between the message before and this one. */
  recovered: boolean;
}

export interface TelemetryUpdate extends Received {
  type: "telemetry_update";
  epoch: string;
  seq: number;
  prev: number;
  /** Oldest first. */
  data: Point[];
  /** The rest only of thinned ones. How many points each of data stands for. */
  counts?: number[];
  /** The least and the greatest value over these, by channel; a channel that did not change is left out. */
  ranges?: Record<string, [number, number]>[];
  /** How many points are not in data themselves. */
  conflated?: number;
}

/** The fields of results, gaps and insights are in docs/websocket.md. */
export interface InsightUpdate extends Received {
  type: "insight_update";
  epoch?: string;
  insight_seq?: number;
  data: Record<string, any>[];
  gaps: Record<string, any>[];
  insights: Record<string, any>[];
  meta: Record<string, any>;
}

/** Points are missing; the numbers are null where nobody knows them. */
export interface Gap extends Received {
  type: "gap";
  epoch: string;
  first: number | null;
  last: number | null;
  points: number | null;
  reason: "overwritten" | "other_epoch" | "skipped" | "not_resumed" | (string & {});
}

/** A connection goes on where the one before ended; recovered is false when something could not be had. */
export interface Resumed extends Received {
  type: "resumed";
  epoch: string;
  seq: number;
  insight_seq: number;
}

export interface Snapshot extends Received {
  type: "snapshot";
  epoch: string;
  seq: number;
  insight_seq: number;
  /** The newest point of each car. */
  data: Point[];
  insight: Omit<InsightUpdate, "recovered"> | null;
}

/** A subscription holds from now on; what is not limited is left out. */
export interface Subscribed extends Received {
  type: "subscribed";
  epoch: string;
  /** Telemetry goes on after this point. */
  seq: number;
  chassis?: string[];
  track?: string[];
  channels?: string[];
  types: string[];
  max_hz?: number;
}

/** Telemetry is thinned from now on, for this client is behind, or has every point again. */
export interface Quality extends Received {
  type: "quality";
  epoch: string;
  seq: number;
  level: "reduced" | "full";
  /** [ms since 1970] */
  since: number;
  /** Points that were not sent themselves meanwhile. */
  conflated: number;
}

/** Something that was asked for makes no sense. */
export interface Refused extends Received {
  type: "error";
  error: string;
  request?: "subscribe" | "resume" | (string & {});
}

export type Message = TelemetryUpdate | InsightUpdate | Gap | Resumed | Snapshot | Subscribed | Quality | Refused;

export type State = "connecting" | "open" | "waiting" | "closed";

export interface StateChange {
  state: State;
  /** Of "waiting": the close code, null when it was the client that gave up. */
  code?: number | null;
  /** Of "waiting": until the next try [ms]. */
  delay?: number;
}

export interface Counters {
  connections: number;
  points: number;
  /** Those that are known to be missing. */
  pointsLost: number;
  /** Those that came again and were left out. */
  pointsRepeated: number;
  /** Those that others stand for, in messages that are thinned. */
  pointsConflated: number;
  gaps: number;
  /** Gaps of which nobody knows how many points they are. */
  unknownGaps: number;
  insights: number;
  insightsLost: number;
}

export interface BackoffSettings {
  /** The first ceiling, 500 by default [ms]. */
  first?: number;
  /** The last ceiling, 10000 by default [ms]. */
  longest?: number;
  /** How long a connection stands that counts as a success, 5000 by default [ms]. */
  settled?: number;
  /** From 0 to 1. */
  random?: () => number;
}

export interface Options {
  /** Of the server or its WebSocket; default: /ws/realtime where the page comes from. */
  url?: string | URL;
  /** Where to begin; now by default. */
  since?: Position | null;
  /** Whether to get after a break what was missed, as by default; else it goes on with what is newest. */
  resume?: boolean;
  /** Whether to begin with a snapshot. */
  snapshot?: boolean;
  /** What to ask for, on every connection; nothing by default, which gets every point and insight. */
  subscribe?: Subscription | null;
  /** Gets a ticket for each connection, of a server that wants keys; without one the client waits and asks again. */
  ticket?: () => Promise<string> | string;
  backoff?: BackoffSettings;
  /** Connect anew when nothing has come for so long [ms]; 0, the default: never, for without cars nothing comes. */
  silence?: number;
}

export declare class Backoff {
  constructor(settings?: BackoffSettings);
  stood(ms: number): void;
  delay(): number;
}

export declare class Stream {
  constructor(settings?: Pick<Options, "since" | "resume" | "snapshot">);
  position: Position | null;
  counters: Counters;
  again: boolean;
  query(): Record<string, string>;
  take(content: unknown): Message[];
}

export declare class Subscribing {
  constructor(first?: Subscription | null);
  wanted: Subscription | null;
  connecting(): Record<string, string>;
  message(): string | null;
  answered(content: unknown): void;
}

export declare class PitWallClient {
  constructor(options?: Options);
  readonly state: State;
  readonly counters: Counters;
  readonly position: Position | null;
  on<T extends Message["type"]>(type: T, listener: (message: Extract<Message, { type: T }>) => void): () => void;
  on(type: "message", listener: (message: Message) => void): () => void;
  on(type: "state", listener: (change: StateChange) => void): () => void;
  on(type: string, listener: (message: any) => void): () => void;
  /** The answer comes as a message, "subscribed" or "error". */
  subscribe(subscription: Subscription): void;
  close(): void;
}
