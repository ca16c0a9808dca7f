import type { AnyPlugin } from "../../../core/mod.ts";
import { type Client, type TestServer, until } from "../../kit/mod.ts";

/** Sees to it that a client counts as connected when the server knows of it, too: it hears of it a little later. */
export function arrivals(): { plugin: AnyPlugin; watch: (server: TestServer) => TestServer["connect"] } {
  let opened = 0;
  let connected = 0;
  return {
    plugin: { name: "arrivals", open: () => void opened++ },
    watch: (server) => async (...address): Promise<Client> => {
      const client = await server.connect(...address);
      const count = ++connected;
      await until("the arrival", () => opened >= count);
      return client;
    },
  };
}
