import type { AnyPlugin } from "../../../core/mod.ts";
import { type Client, type TestServer, until } from "../../kit/mod.ts";

/** Wraps `connect` so that it resolves when the server has opened the connection too, which happens a little later. */
export function confirmedConnections(): {
  plugin: AnyPlugin;
  wrap: (server: TestServer) => TestServer["connect"];
} {
  let opened = 0;
  let connected = 0;
  return {
    plugin: { name: "confirmed-connections", open: () => void opened++ },
    wrap: (server) => async (...address): Promise<Client> => {
      const client = await server.connect(...address);
      const count = ++connected;
      await until("the server to open the connection", () => opened >= count);
      return client;
    },
  };
}
