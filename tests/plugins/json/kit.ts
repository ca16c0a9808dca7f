import type { AnyPlugin, ServerOptions } from "../../../core/mod.ts";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { json, type JsonOptions } from "../../../plugins/protocols/json.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { type Client, serve } from "../../kit/mod.ts";

/** A server with the json protocol. The user is taken from `?user=` and may do everything. */
export async function serveJson(
  options: Partial<JsonOptions> = {},
  serverOptions: ServerOptions = {},
  ...more: AnyPlugin[]
) {
  const access = auth({
    signIn({ url }) {
      const user = new URL(url).searchParams.get("user");
      return user ? { user, permissions: ["*"], info: { name: user.toUpperCase() } } : undefined;
    },
    anonymous: { permissions: ["*"] },
  });
  const bus = channels({
    namespaces: { secret: { subscribe: "nobody", publish: "nobody" }, bare: { historySize: 0 } },
  });
  const people = presence({ channels: bus.api });
  const methods = rpc();
  const services = { channels: bus.api, presence: people.api, rpc: methods.api, access: access.api };
  const plugin = json({ ...services, ...options });
  const server = await serve(serverOptions, ...more, access, bus, people, methods, plugin);
  return Object.assign(server, {
    bus: bus.api,
    people: people.api,
    methods: methods.api,
    json: plugin.api,
    async join(user = "") {
      const client = await server.connect(`/ws?user=${user}`);
      return { client, ack: await client.nextJson() };
    },
  });
}

/** Sends a message and returns the next one, which is the reply if nothing else is sent. */
// deno-lint-ignore no-explicit-any -- tests look into what they expect
export async function ask(client: Client, message: object): Promise<any> {
  client.sendJson(message);
  return await client.nextJson();
}
