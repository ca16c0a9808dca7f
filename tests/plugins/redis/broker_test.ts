import { brokerSuite, underTest } from "../../kit/broker_suite.ts";
import { publishOnceSuite } from "../../kit/publish_once_suite.ts";
import { FakeClock } from "../../kit/mod.ts";
import { connectedBroker, ownRedis, withRedis } from "../../kit/redis.ts";

if (withRedis()) {
  const make = () => {
    const clock = new FakeClock();
    return underTest(connectedBroker(ownRedis({ clock })), undefined, clock);
  };
  brokerSuite("B12 Redis", make);
  publishOnceSuite("Redis", make);
}
