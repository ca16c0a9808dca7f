import assert from "node:assert/strict";
import { parseRedisUrls } from "../../../plugins/redis/address.ts";
import { parts, primariesFrom, primaryOf, slotOf } from "../../../plugins/redis/slots.ts";

Deno.test("B12 URLs with several hosts, users and sentinels", () => {
  const short = (...urls: string[]) =>
    parseRedisUrls(urls).map(({ host, port, user, password, database, prefix, primary, secure }) =>
      [secure ? "tls" : "tcp", primary ?? "", user, password, host, port, database, prefix].join(" ")
    );
  assert.deepEqual(short("redis://a"), ["tcp  default  a 6379 0 plugboard:"]);
  assert.deepEqual(short("rediss://u:p%40%2C@a:1,b:2/3?prefix=app", "redis://[::1]:7"), [
    "tls  u p@, a 1 3 app:",
    "tls  u p@, b 2 3 app:",
    "tcp  default  ::1 7 0 plugboard:",
  ]);
  assert.deepEqual(short("redis+sentinel://:secret@a,b:2/main/1", "rediss://c"), [
    "tcp main default secret a 26379 1 plugboard:",
    "tcp main default secret b 2 1 plugboard:",
    "tls  default  c 6379 0 plugboard:",
  ]);
  const [sentinel] = parseRedisUrls([
    "redis+sentinel://u:secret@a/main?sentinel_user=w&sentinel_password=p%40%2C&prefix=x",
  ]);
  assert.deepEqual([sentinel!.sentinelUser, sentinel!.sentinelPassword, sentinel!.prefix], [
    "w",
    "p@,",
    "x:",
  ]);
  for (
    const [url, message] of [
      ["redis://a?sentinel_password=secret", /the only parameter is "prefix", got "sentinel_password"$/],
      ["redis+sentinel://a/m?db=1", /the parameters are "prefix", "sentinel_user", .*, got "db"$/],
      [
        "redis+sentinel://u:secret@a",
        /the path is the name of the primary, as sentinels know it, got a:26379$/,
      ],
      ["redis://u:secret@a/x", /the path is the number of the database, got a:6379\/x$/],
      ["redis://u:secret@a?db=1", /the only parameter is "prefix", got "db"$/],
      ["redis+cluster://u:secret@a", /must be redis: or rediss: URLs, got redis\+cluster:\/\/a:6379$/],
      ["a", /got one that is no URL$/],
    ] as const
  ) assert.throws(() => parseRedisUrls([url]), { code: "start_failed", message });
});

Deno.test("B12 the parts of a Redis Cluster have slots of their own, evenly distributed", () => {
  assert.equal(slotOf("123456789"), 0x31c3, "the example of the specification");
  const slots = parts().map(({ tag, slot }) => {
    assert.equal(slotOf(tag.slice(1, -1)), slot);
    return slot;
  });
  assert.deepEqual(slots.map((slot) => Math.floor(slot / 512)), Array.from({ length: 32 }, (_, i) => i));
});

Deno.test("B12 of two primaries that claim a slot of a Redis Cluster, the later one has it", () => {
  const answer = [
    "a 127.0.0.1:7001@17001,,tls-port=0 myself,master - 0 0 3 connected 0-99 200 [300->-b]",
    "b :7002@17002,host.b master - 0 0 5 connected 50-60 400-500",
    "c 10.0.0.3:7003@17003 slave a 0 0 3 connected",
    "d 10.0.0.4:7004@17004 master,fail - 0 0 1 disconnected",
    "e :0@0 master,noaddr - 0 0 9 disconnected 0-16383",
    "f [::1]:7005@17005 master - 0 0 7 connected 600",
    "g :7006@17006 master - 0 0 8 connected 700",
  ].join("\n");
  const primaries = primariesFrom(`${answer}\n`, "asked");
  const at = (slot: number) => {
    const found = primaryOf(slot, primaries);
    return found && `${found.host}:${found.port}`;
  };
  assert.deepEqual([0, 55, 200, 300, 450, 600, 700].map(at), [
    "127.0.0.1:7001",
    "host.b:7002",
    "127.0.0.1:7001",
    undefined,
    "host.b:7002",
    "::1:7005",
    "asked:7006",
  ]);
});
