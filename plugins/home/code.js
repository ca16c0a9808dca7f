/** The code beside the parts of the page: the values in it are those of the page, and it has colours. */

import { element } from "./dom.js";

const TOKENS =
  /(?<comment>\/\/.*)|(?<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<word>\b(?:as|async|await|const|for|from|function|import|new|of)\b)/g;

const templates = new Map(
  Array.from(document.querySelectorAll(".code pre"), (pre) => [pre, pre.textContent]),
);
const values = {};

/** Shows the code with further values in the place of their names, such as `{{channel}}`. */
export function fillCode(more) {
  Object.assign(values, more);
  for (const [pre, template] of templates) {
    pre.replaceChildren(...coloured(template.replaceAll(/{{(\w+)}}/g, (_, name) => values[name] ?? "")));
  }
}

/** Adds a button that copies the code. Browsers allow it only on secure pages. */
export function addCopyButtons() {
  for (const pre of templates.keys()) {
    if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0; // allows scrolling with the arrow keys
    if (!navigator.clipboard) continue;
    const button = element("button", { type: "button", "aria-live": "polite" }, "Copy");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "Copied";
      setTimeout(() => button.textContent = "Copy", 2_000);
    });
    pre.closest("figure").querySelector("figcaption").append(button);
  }
}

function* coloured(code) {
  let end = 0;
  for (const { 0: token, index, groups } of code.matchAll(TOKENS)) {
    yield code.slice(end, index);
    const kind = Object.keys(groups).find((name) => groups[name] !== undefined);
    yield element("span", { class: kind }, token);
    end = index + token.length;
  }
  yield code.slice(end);
}
