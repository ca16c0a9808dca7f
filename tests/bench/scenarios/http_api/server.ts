/** The API with sign-in, limits and statistics, as `main.ts` has it. */

import { Server } from "../../../../core/mod.ts";
import { auth } from "../../../../plugins/auth.ts";
import { channels } from "../../../../plugins/channels.ts";
import { httpApi } from "../../../../plugins/http_api.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { rateLimits } from "../../../../plugins/rate_limits.ts";
import { stats } from "../../../../plugins/stats.ts";
import { API_KEY } from "../../api_key.ts";
import { announce } from "../../contenders/announce.ts";

const server = new Server({ port: 0 });
const limits = server.use(rateLimits({ limits: { requests: "100000000/1m" } }));
server.use({ name: "requests", routes: (app) => void app.use(limits.middleware()) });
const access = server.use(auth({
  apiKeys: [{ name: "bench", key: API_KEY, permissions: ["write:*"] }],
  anonymous: true,
  limits: limits.signIns,
}));
const bus = server.use(channels({ limits, access }));
const people = server.use(presence({ channels: bus }));
server.use(stats({ channels: bus }));
server.use(httpApi({ channels: bus, access, presence: people }));
server.use(centrifuge({ channels: bus, presence: people, access, limits }));
await server.start();
announce(server.address.port);
