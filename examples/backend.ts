/**
 * A server whose backend, in another language, signs users in, decides what they may do, and hears what happens.
 *
 *     WEBHOOK_SECRET=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD python3 examples/backend.py
 *     WEBHOOK_SECRET=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD deno run --allow-net --allow-env examples/backend.ts
 *
 * In place of the first, `php -S 127.0.0.1:8000 examples/backend.php` starts a backend in PHP. Use a secret of your own:
 * `echo whsec_$(openssl rand -base64 24)`.
 *
 * Ann, whose cookie the backend knows, connects with `wscat`:
 *
 *     wscat -c ws://localhost:8087/ws -H "cookie: session=ann"
 *     > {"type":"subscribe","channel":"room:lobby"}
 *     > {"type":"publish","channel":"room:lobby","data":"hello"}
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { channels } from "@plugboard/server/channels";
import { json } from "@plugboard/server/json";
import { logging } from "@plugboard/server/logging";
import { proxies } from "@plugboard/server/proxies";
import { webhooks } from "@plugboard/server/webhooks";

const { PORT, BACKEND_URL, WEBHOOK_SECRET } = loadSettings({
  PORT: setting.integer(8087, "Port to listen on", 65_535),
  BACKEND_URL: setting.text("http://127.0.0.1:8000", "Where the backend is"),
  WEBHOOK_SECRET: setting.secret("The secret that signs events"),
});

const server = new Server({ port: PORT });
server.use(logging());
const rooms = ["room"];
const backend = server.use(proxies({
  connect: { url: `${BACKEND_URL}/connect`, httpHeaders: ["cookie"] },
  subscribe: { url: `${BACKEND_URL}/subscribe`, namespaces: rooms },
  publish: { url: `${BACKEND_URL}/publish`, namespaces: rooms },
}));
const access = server.use(auth({ backend: backend.signIn }));
const bus = server.use(channels({ access, extensions: [backend.extension], namespaces: { room: {} } }));
server.use(webhooks({
  channels: bus,
  access,
  receivers: [{ url: `${BACKEND_URL}/events`, secrets: [WEBHOOK_SECRET ?? ""], namespaces: rooms }],
}));
server.use(json({ channels: bus, access }));

await run(server);
