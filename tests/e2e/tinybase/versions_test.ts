import assert from "node:assert/strict";
import { createMergeableStore as createOldStore } from "npm:tinybase@9.4.0";
import { createWsSynchronizer as createOldSynchronizer } from "npm:tinybase@9.4.0/synchronizers/synchronizer-ws-client";
import { within } from "../../kit/mod.ts";
import {
  converged,
  memoryDocuments,
  persisterOf,
  same,
  synced,
  syncServer,
} from "../../plugins/tinybase/kit.ts";

Deno.test("T14 clients of versions 9 and 10 converge, single-store and multiplexed", async () => {
  for (const stored of [true, false]) {
    await using server = await syncServer(
      stored ? { createPersisterForPath: persisterOf(memoryDocuments()) } : {},
    );
    const url = `${server.url.replace("http", "ws")}/sync`;
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const sockets = [new WebSocket(`${url}/pets`), new WebSocket(url, ["tinybase"])] as const;
    const stores = [createOldStore(), createOldStore()] as const;
    const old = [
      await createOldSynchronizer(stores[0], sockets[0], 0.5, undefined, undefined, onError, 100),
      await createOldSynchronizer(stores[1], sockets[1], "pets", 0.5, undefined, undefined, onError),
    ];
    await using current = await synced(`${url}/pets`, { timeoutSeconds: 0.5 });
    for (const synchronizer of old) await synchronizer.startSync();
    stores[0].setCell("pets", "fido", "species", "dog");
    stores[1].setRow("pets", "tom", { species: "cat", bio: "ü".repeat(100) });
    current.store.setCell("pets", "fido", "tags", ["a", null] as never).setValue("open", true);
    await converged(current.store, stores[0] as never, stores[1] as never);
    stores[0].delRow("pets", "tom");
    await converged(current.store, stores[0] as never, stores[1] as never);
    same(current.store.getContent(), [{ pets: { fido: { species: "dog", tags: ["a", null] } } }, {
      open: true,
    }]);
    if (stored) assert.deepEqual(errors, []);
    const closed = sockets.map((socket) => new Promise((resolve) => socket.onclose = resolve));
    for (const socket of sockets) socket.close();
    await within("the closes", Promise.all(closed));
    for (const synchronizer of old) await synchronizer.destroy();
  }
});
