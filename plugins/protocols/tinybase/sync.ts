import { PlugboardError } from "../../../core/mod.ts";
import type { OpenPath, Paths } from "../../paths.ts";
import type { PathStore } from "./path_store.ts";
import type { TinyBaseSync } from "./types.ts";

/** Creates the protocol's service. `storeOf` returns the store of a path, if it is ready. */
export function tinyBaseSync(
  paths: Paths,
  storeOf: (path: string) => PathStore | undefined,
): TinyBaseSync {
  const listeners = new Map<string, (() => void)[]>();
  let nextId = 0;

  function addListener(...removers: (() => void)[]): string {
    const id = String(nextId++);
    listeners.set(id, removers);
    return id;
  }

  const sync: TinyBaseSync = {
    getPathIds: () => paths.getPathIds(),
    getClientIds: (pathId) => paths.getClientIds(pathId),
    getStats() {
      const { paths: count, clients } = paths.getStats();
      return { paths: count, clients };
    },
    addPathIdsListener: (listener) =>
      addListener(
        paths.on("pathAdded", ({ path }) => listener(sync, path, 1)),
        paths.on("pathRemoved", ({ path }) => listener(sync, path, -1)),
      ),
    addClientIdsListener(pathId, listener) {
      const only = pathId ?? undefined;
      return addListener(
        paths.on("clientJoined", ({ path, client }) => listener(sync, path, client, 1), only),
        paths.on("clientLeft", ({ path, client }) => listener(sync, path, client, -1), only),
      );
    },
    delListener(id) {
      listeners.get(id)?.forEach((remove) => remove());
      listeners.delete(id);
      return sync;
    },
    getStore: (pathId) => storeOf(pathId)?.store,
    async open(pathId) {
      const path = await paths.open(pathId);
      const opened = storeOf(pathId);
      if (opened === undefined) throw notOpened(pathId, path);
      return {
        store: opened.store,
        saved: () => opened.flush(),
        [Symbol.asyncDispose]: () => Promise.resolve(path.release()),
      };
    },
  };
  return sync;
}

function notOpened(pathId: string, path: OpenPath): PlugboardError {
  const cause = path.error;
  path.release();
  const name = `The path ${JSON.stringify(pathId)}`;
  if (cause === undefined) return new PlugboardError("no_store", `${name} has no persister`);
  return new PlugboardError("path_failed", `${name} could not be loaded`, { cause });
}
