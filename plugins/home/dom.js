/** What the page's parts share. Everything is set as text, so that nothing anybody wrote becomes markup. */

/** An element of the page. */
export const $ = (id) => document.getElementById(id);

/** A new element with text and other elements in it. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Somebody's words, in a direction of their own. */
export function words(text) {
  return element("bdi", {}, text);
}

const MAX_LETTERS = 1_000;

/** What somebody published: its text, or whatever else it is, as far as it is short. */
export function textOf(data) {
  const text = typeof data?.text === "string" ? data.text : JSON.stringify(data);
  return text.length > MAX_LETTERS ? `${text.slice(0, MAX_LETTERS)} …` : text;
}

/** How somebody is called: by the user's id, or by the beginning of the connection's. */
export function nameOf(info) {
  if (info === undefined) return "the server";
  return info.user || `guest ${info.client.slice(0, 4)}`;
}

/** Calls `work` a moment after the first of many requests, once for all of them. */
export function soon(work, ms = 200) {
  let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      work();
    }, ms);
  };
}

/** Why the server said no, or why it could not be asked. */
export function sentence(error) {
  const text = String(error?.message ?? error);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** Does what a form asks for at its submit, and says below it why that was not possible. */
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
