// @ts-check
/** Lines of shell and of programs that work with this server, to be copied. */

/** A text as one word of a shell. @param {string} text */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/**
 * @typedef {object} Place
 * @property {string} origin of the page
 * @property {string} host with its port
 * @property {string} websocket the address of the stream
 * @property {boolean} locked whether keys are needed
 * @property {number | null} udpPort
 */

/** @param {Location} location @param {string} path of the stream @param {boolean} locked @returns {Place} */
export function place({ origin, host, protocol }, path, locked) {
  const scheme = protocol === "https:" ? "wss:" : "ws:";
  return { origin, host, websocket: `${scheme}//${host}${path}`, locked, udpPort: null };
}

/**
 * A request by curl.
 * @param {string} method @param {string} url @param {{locked?: boolean, type?: string, body?: string}} about
 */
export function curl(method, url, { locked = false, type = "", body = "" } = {}) {
  const words = ["curl"];
  if (method !== "GET" && !body) words.push("-X", method);
  if (locked) words.push('-H "Authorization: Bearer $KEY"');
  if (type) words.push("-H", quoted(`Content-Type: ${type}`));
  // Plain -d would take the ends of lines away.
  if (body) words.push(body.includes("\n") ? "--data-binary" : "-d", quoted(body));
  return [...words, quoted(url)].join(" ");
}

/**
 * How to begin, by language.
 * @param {Place} place @param {string} point as JSON @returns {[string, string][]} a title, the lines
 */
export function beginnings({ origin, host, websocket, locked, udpPort }, point) {
  const hostname = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const browser = [
    `import { PitWallClient } from "${origin}/client/pitwall-client.js";`,
    "",
    ...(locked
      ? [
          "const ticket = async () => {",
          "  const headers = { Authorization: `Bearer ${key}` };",
          `  const answer = await fetch("${origin}/api/ticket", { method: "POST", headers });`,
          "  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);",
          "  return (await answer.json()).ticket;",
          "};",
        ]
      : []),
    `const client = new PitWallClient({ url: "${websocket}", snapshot: true${locked ? ", ticket" : ""} });`,
    'client.on("snapshot", (message) => message.data.forEach(show));',
    'client.on("telemetry_update", (message) => message.data.forEach(show));',
    'client.on("insight_update", (message) => rank(message.gaps));',
    'client.on("gap", (gap) => console.warn("points missed:", gap.points));',
  ];
  const plain = [
    `const socket = new WebSocket("${websocket}?snapshot=1&max_hz=10${locked ? "&ticket=" : ""}"${locked ? " + ticket" : ""});`,
    "socket.onmessage = (event) => {",
    "  const message = JSON.parse(event.data);",
    "  console.log(message.type, message.data);",
    "};",
  ];
  const python = [
    "# In a checkout of PitWall: pip install '.[client]'",
    "import asyncio",
    ...(locked ? ["import os"] : []),
    "",
    "from pitwall.client import PitWallClient",
    "",
    "",
    "async def main() -> None:",
    ...(locked ? [`    key = {"Authorization": f"Bearer {os.environ['KEY']}"}`] : []),
    `    async with PitWallClient("${websocket}"${locked ? ", additional_headers=key" : ""}) as client:`,
    "        async for message in client:",
    "            for point in message.points:",
    '                print(point["chassis"], point.get("speed_kmh"))',
    "",
    "",
    "asyncio.run(main())",
  ];
  const key = locked ? ' -H "Authorization: Bearer $KEY"' : "";
  const shell = [
    `websocat${key} ${quoted(`${websocket}?max_hz=1`)}`,
    `${locked ? "PITWALL_KEY=$KEY " : ""}pitwall tail ${quoted(websocket)} --max-hz 1`,
    curl("GET", `${origin}/api/cars`, { locked }),
    curl("GET", `${origin}/api/laps?format=csv`, { locked }),
  ];
  const sending = [curl("POST", `${origin}/api/ingest`, { locked, type: "application/json", body: point })];
  if (udpPort !== null) sending.push(`echo ${quoted(point)} | nc -u -w0 ${quoted(hostname)} ${udpPort}`);
  return [
    ["JavaScript, by the client of this server", browser.join("\n")],
    ["JavaScript, without it", plain.join("\n")],
    ["Python", python.join("\n")],
    ["Shell: watch and ask", shell.join("\n")],
    ["Shell: send a point", sending.join("\n")],
  ];
}
