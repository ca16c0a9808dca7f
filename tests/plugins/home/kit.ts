import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { home } from "../../../plugins/home.ts";
import { liveQueries } from "../../../plugins/live_queries.ts";
import { mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { serve } from "../../kit/mod.ts";

/** The secret that tokens are signed with. */
export const SECRET = "a secret of at least thirty-two bytes";

/** Starts a server with the page. With a secret, it requires a token. */
export async function homeServer(
  { secret, path = ":memory:", port = 0 }: { secret?: string; path?: string; port?: number } = {},
) {
  const database = persistence({ path });
  const access = auth(secret === undefined ? {} : { jwt: { secret } });
  const bus = channels();
  const people = presence({ channels: bus.api });
  const methods = rpc();
  const queries = liveQueries({ store: database.api, channels: bus.api });
  const changes = mutations({ store: database.api, rpc: methods.api, queries: queries.api });
  const clients = { channels: bus.api, presence: people.api, rpc: methods.api, access: access.api };
  const demo = access.api.open && { store: database.api, queries: queries.api, changes: changes.api };
  const plugins = [
    database,
    access,
    bus,
    people,
    methods,
    queries,
    changes,
    centrifuge(clients),
    home({ demo }),
  ];
  const server = await serve({ port }, ...plugins);
  return Object.assign(server, { store: database.api, methods: methods.api, bus: bus.api });
}
