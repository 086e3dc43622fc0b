// @ts-check
/** The plotting library: a script of the server, loaded when it is first wanted. */

/** @type {Promise<any> | null} */
let wanted = null;

/** Plotly; an error that says why there is none. @returns {Promise<any>} */
export function library() {
  wanted ??= load().catch((error) => {
    wanted = null;
    throw error;
  });
  return wanted;
}

/** @returns {Promise<any>} */
function load() {
  const name = document.querySelector('meta[name="pitwall-plotting"]')?.getAttribute("content");
  if (!name) return Promise.reject(new Error("The server has no plotting library: its package plotly is not installed."));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `/dashboard/${name}`;
    const done = withoutStyles();
    script.onload = () => {
      done();
      resolve(/** @type {any} */ (window).Plotly);
    };
    script.onerror = () => {
      done();
      script.remove();
      reject(new Error("The plotting library did not come from the server."));
    };
    document.head.append(script);
  });
}

/**
 * Keep a style out of the page that the library's maps would put there when it is loaded: the policy forbids it,
 * and no map is drawn. The rules for plots go into traces.css, by its id.
 * @returns {() => void} ends it
 */
function withoutStyles() {
  const head = /** @type {any} */ (document.head);
  head.appendChild = (/** @type {Node} */ node) =>
    node.nodeName === "STYLE" ? node : Node.prototype.appendChild.call(head, node);
  return () => delete head.appendChild;
}
