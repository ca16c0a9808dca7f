import assert from "node:assert/strict";
import type { Connection } from "@plugboard/server";
import { visitors } from "./visitors.ts";

Deno.test("visitors are counted when they come and go", () => {
  const published: unknown[] = [];
  const publish = (_channel: string, data: unknown) => {
    published.push(data);
    return Promise.resolve({ offset: 0, epoch: "", receivers: 1 });
  };
  const plugin = visitors({ channels: { publish } });
  const [ada, bob] = [{ id: "ada" } as Connection, { id: "bob" } as Connection];
  const gone = { code: 1000, reason: "" } as Parameters<NonNullable<typeof plugin.close>>[1];
  plugin.open?.(ada, {} as never);
  plugin.open?.(bob, {} as never);
  plugin.close?.(ada, gone);
  assert.deepEqual(published, [{ count: 1 }, { count: 2 }, { count: 1 }]);
});
