import type { Link } from "./link.ts";

/** A server, or a part of a Redis Cluster: what is asked about one name is on one of them. */
export type Shard = Pick<
  Link,
  | "address"
  | "limits"
  | "isUp"
  | "generation"
  | "own"
  | "run"
  | "send"
  | "publish"
  | "subscribe"
  | "unsubscribe"
>;
