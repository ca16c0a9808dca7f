/** Addresses of views: the part of the URL after the `#`. */

import { signal } from "@preact/signals";

/** Returns the address of a view: its name, parts of the path, and a query. */
export function to(name, parts = [], query = {}) {
  const path = [name, ...parts.map(encoded)].join("/");
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return `#/${path}${given.length > 0 ? `?${new URLSearchParams(given)}` : ""}`;
}

/** A lone surrogate has no encoding. */
const encoded = (text) => encodeURIComponent(String(text).toWellFormed());

/** The current address. */
export const address = signal(read());

function read() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [name = "", ...parts] = path.split("/");
  return { name, parts: parts.map(decoded), query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // an invalid escape, typed by hand
  }
}

/** Opens a view. */
export const open = (hash) => location.hash = hash;

addEventListener("hashchange", () => address.value = read());
