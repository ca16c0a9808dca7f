/** Helpers of the page. All content is set as text, so user input never becomes markup. */

/** Returns an element of the page. */
export const $ = (id) => document.getElementById(id);

/** Creates an element with children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Creates an element for user text, isolated from the direction of the surrounding text. */
export function words(text) {
  return element("bdi", {}, text);
}

const MAX_LETTERS = 1_000;

/** Returns the text of a publication, or its JSON, shortened. */
export function textOf(data) {
  const text = typeof data?.text === "string" ? data.text : JSON.stringify(data);
  return text.length > MAX_LETTERS ? `${text.slice(0, MAX_LETTERS)} …` : text;
}

/** Returns the user id, or a guest name from the connection id. */
export function nameOf(info) {
  if (info === undefined) return "the server";
  return info.user || `guest ${info.client.slice(0, 4)}`;
}

/** Returns a function that calls `work` once after a delay, however often it is called. */
export function soon(work, ms = 200) {
  let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      work();
    }, ms);
  };
}

/** Returns an error as a sentence. */
export function sentence(error) {
  const text = String(error?.message ?? error);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** Handles the submit of a form and shows its error below. */
export function onSubmit(form, alert, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await work(form.elements);
      alert.textContent = "";
    } catch (error) {
      alert.textContent = sentence(error);
    }
  });
}
