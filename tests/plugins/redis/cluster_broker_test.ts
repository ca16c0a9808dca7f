import { redis } from "../../../plugins/redis.ts";
import { brokerSuite, underTest } from "../../kit/broker_suite.ts";
import { FakeClock } from "../../kit/mod.ts";
import { publishOnceSuite } from "../../kit/publish_once_suite.ts";
import { findProgram, programs, skip } from "../../kit/programs.ts";
import { connectedBroker, onlyDeclaredKeys } from "../../kit/redis.ts";
import { RedisClusterProcess } from "../../kit/redis_cluster.ts";

const program = findProgram(programs.redis);
if (program === undefined) skip("redis-server is not installed", "B12 in a Redis Cluster");
else {
  onlyDeclaredKeys();
  let cluster: RedisClusterProcess;
  let uses = 0;
  const make = async () => {
    const clock = new FakeClock();
    const plugin = redis({ urls: [`${cluster.url}?prefix=test${uses++}`], clock });
    return await underTest(connectedBroker(plugin, cluster.primaries[0]!.server), undefined, clock);
  };
  Deno.test.beforeAll(async () => void (cluster = await RedisClusterProcess.start(program)));
  Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
  brokerSuite("B12 Redis Cluster", make);
  publishOnceSuite("Redis Cluster", make);
}
