import assert from "node:assert/strict";
import { serveAll } from "../plugins/auth/table/server.ts";
import { ROUTES, SOCKETS } from "./mutations.ts";

Deno.test("every route and every endpoint is attacked", async () => {
  await using server = await serveAll("open");
  const attacked = [...SOCKETS, ...ROUTES].map(({ path }) => path.replace(/\?.*/, ""));
  const missed = server.places.filter((place) => {
    const pattern = new URLPattern({ pathname: place.split(" ")[1]! });
    return !attacked.some((pathname) => pattern.test({ pathname }));
  });
  assert.deepEqual(missed, []);
});
