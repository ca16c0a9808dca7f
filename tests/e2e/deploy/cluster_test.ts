import assert from "node:assert/strict";
import { freePort } from "../../kit/ports.ts";
import { Client } from "../../kit/mod.ts";
import { findProgram, programs, testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { dataFolder, type Main, startMain } from "../main/kit.ts";
import { startCaddy } from "./proxy.ts";

const redisProgram = findProgram(programs.redis);

testWith(
  "caddy",
  "B12 behind Caddy, clients use several nodes as one, and reach the owner where they need it",
  async (caddy) => {
    assert.ok(redisProgram, "redis-server is not installed");
    await using redis = new RedisProcess(redisProgram);
    await redis.ready();
    using folders = new DisposableStack();
    const start = (port: number): Promise<Main> =>
      startMain({
        REDIS_URL: redis.url,
        PORT: `${port}`,
        NODE_ADDRESS: `127.0.0.1:${port}`,
        DATA_DIR: folders.use(dataFolder()).path,
        TRUSTED_PROXIES: "loopback",
        LIMITS: "off",
      });
    const ports = [freePort(), freePort()];
    await using _owner = await start(ports[0]!);
    await using second = await start(ports[1]!);
    // It can reach the owner only by its address in a refusal.
    await using proxy = await startCaddy(caddy, [ports[1]!, ports[1]!, ports[1]!]);
    const connect = (path: string) => Client.connect(`${proxy.url}${path}`, [], {}, proxy.client);

    await using owned = await connect("/ws?node=owner");
    assert.equal((await owned.nextJson()).type, "connection:ack");
    owned.sendJson({ type: "subscribe", channel: "news", id: "mine" });
    for (let id; id !== "mine"; id = (await owned.nextJson()).id);
    await using direct = await Client.connect(`${second.url}/ws`);
    direct.sendJson({ type: "publish", channel: "news", data: "across" });
    for (let data; data !== "across"; data = (await owned.nextJson()).data);
    // Paths are on the owner, whichever node the proxy chooses.
    await using ann = await connect("/relay/room");
    await using bob = await connect("/relay/room");
    assert.ok(ann.socket.readyState === WebSocket.OPEN && bob.socket.readyState === WebSocket.OPEN);
    const response = await fetch(`${proxy.url}/health?node=owner`, { client: proxy.client });
    await response.body?.cancel();
    assert.equal(response.status, 200);
  },
);
