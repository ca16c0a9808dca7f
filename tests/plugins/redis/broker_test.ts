import { brokerSuite, underTest } from "../../kit/broker_suite.ts";
import { publishOnceSuite } from "../../kit/publish_once_suite.ts";
import { connectedBroker, withRedis } from "../../kit/redis.ts";

if (withRedis()) {
  brokerSuite("B12 Redis", () => underTest(connectedBroker()));
  publishOnceSuite("Redis", () => underTest(connectedBroker()));
}
