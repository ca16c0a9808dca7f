/** A small world for pictures of the dashboard: people in rooms, sensors, an app's tables, and mistakes. */

import { Centrifuge } from "centrifuge";
import { SignJWT } from "jose";
import { dashboardServer, KEY } from "../plugins/dashboard/kit.ts";
import { SECRET } from "../plugins/auth/kit.ts";

const NAMES = ["ada", "grace", "alan", "edsger", "barbara", "ken", "margaret", "linus", "radia", "tim"];
const TEXTS = [
  "Shall we?",
  "Deployed.",
  "Looks good to me",
  "Lunch at one",
  "It was the cache",
  "Thank you!",
];

/** Starts the world, with clients that talk. Everything ends at the end of the block. */
export async function world({ port = 0 }: { port?: number } = {}) {
  const server = await dashboardServer({
    apiKeys: [{ name: "ops", key: KEY, permissions: ["admin"] }],
    webhookUrl: "http://127.0.0.1:1/events",
    recordFile: `${await Deno.makeTempDir()}/recording.jsonl`,
    port,
  });
  const { bus, store, queries, changes, methods, later } = server;
  await store.migrate("shop", [
    `CREATE TABLE orders (
      id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total REAL NOT NULL, status TEXT NOT NULL DEFAULT 'pending'
    );
    CREATE TABLE customers (name TEXT PRIMARY KEY, city TEXT, since TEXT);
    INSERT INTO customers VALUES ('ada', 'London', '2024-03-01'), ('grace', 'New York', '2025-01-12');`,
  ]);
  queries.define("ordersByStatus", {
    sql: "SELECT id, customer, total FROM orders WHERE status = :status ORDER BY id DESC LIMIT 20",
    params: { status: "string" },
  });
  queries.define("totals", {
    sql: "SELECT customer, count(*) AS orders, sum(total) AS total FROM orders GROUP BY customer",
    key: ["customer"],
  });
  changes.define("addOrder", {
    args: (value) => value as { customer: string; total: number },
    run: (tx, { customer, total }) =>
      void tx.run("INSERT INTO orders (customer, total) VALUES (?, ?)", [customer, total]),
  });
  methods.define("greet", {
    run: (args) => ({ text: `Hello, ${(args as { name?: string })?.name ?? "you"}!` }),
  });
  await later.publish("news", { remind: true }, { delay: 3_600_000, id: "hourly" });
  await later.publish("reports:daily", { run: "sales" }, { every: "0 7 * * MON-FRI", id: "morning" });

  const clients = await Promise.all(NAMES.map(async (name, i) => {
    const token = await new SignJWT({ sub: name }).setProtectedHeader({ alg: "HS256" })
      .setIssuedAt().setExpirationTime(i % 3 === 0 ? "20m" : "8h").sign(new TextEncoder().encode(SECRET));
    const sdk = new Centrifuge(`${server.url.replace("http", "ws")}/connection/websocket`, { token });
    for (const channel of ["chat:lobby", `chat:${i % 3}`, "news", "sensors:roof", "live:totals"]) {
      sdk.newSubscription(channel).subscribe();
    }
    if (i % 2 === 0) sdk.newSubscription("live:ordersByStatus?status=pending").subscribe();
    sdk.connect();
    await sdk.ready();
    return { name, sdk };
  }));

  let turn = 0;
  const beat = setInterval(() => {
    turn++;
    const { sdk } = clients[turn % clients.length]!;
    const text = TEXTS[turn % TEXTS.length];
    const wave = 1 + Math.round(2 + 2 * Math.sin(turn / 25));
    for (let i = 0; i < wave; i++) {
      const celsius = Math.round((18 + 4 * Math.sin(turn / 40) + i / 10) * 10) / 10;
      bus.publish("sensors:roof", { celsius, wind: { speed: turn % 9, from: "NW" }, seq: turn })
        .catch(() => {});
    }
    if (turn % 4 === 0) sdk.publish("chat:lobby", { text, mood: turn % 3 ? "fine" : null }).catch(() => {});
    if (turn % 20 === 0) {
      const customer = NAMES[turn % NAMES.length]!;
      sdk.rpc("addOrder", { customer, total: 10 + turn % 90 }).catch(() => {});
    }
    if (turn % 60 === 0) sdk.publish("metrics:cpu", 1).catch(() => {});
  }, 50);
  server.note("warn", "payment is slow", { order: 4711, tookMs: 2_300 });
  server.note("error", "cannot reach the warehouse", { url: "https://warehouse.example/stock", attempt: 3 });

  return {
    ...server,
    clients,
    async [Symbol.asyncDispose]() {
      clearInterval(beat);
      for (const { sdk } of clients) sdk.disconnect();
      await server[Symbol.asyncDispose]();
    },
  };
}
