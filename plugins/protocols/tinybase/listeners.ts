/**
 * Listeners in the manner of TinyBase: added, they get an id, by which they are removed.
 *
 * @module
 */

import type { Paths } from "../../paths.ts";
import type { TinyBaseSync } from "./types.ts";

/** The listeners of a {@linkcode TinyBaseSync}, on top of the events of its paths. */
export function pathListeners(
  paths: Pick<Paths, "on">,
  sync: () => TinyBaseSync,
): Pick<TinyBaseSync, "addPathIdsListener" | "addClientIdsListener" | "delListener"> {
  const listeners = new Map<string, () => void>();
  let nextId = 0;

  function add(...removers: (() => void)[]): string {
    const id = String(nextId++);
    listeners.set(id, () => removers.forEach((remove) => remove()));
    return id;
  }

  return {
    addPathIdsListener: (listener) =>
      add(
        paths.on("pathAdded", ({ path }) => listener(sync(), path, 1)),
        paths.on("pathRemoved", ({ path }) => listener(sync(), path, -1)),
      ),
    addClientIdsListener: (pathId, listener) =>
      add(
        paths.on(
          "clientJoined",
          ({ path, client }) => listener(sync(), path, client, 1),
          pathId ?? undefined,
        ),
        paths.on("clientLeft", ({ path, client }) => listener(sync(), path, client, -1), pathId ?? undefined),
      ),
    delListener(id) {
      listeners.get(id)?.();
      listeners.delete(id);
      return sync();
    },
  };
}
