import assert from "node:assert/strict";
import { Pages } from "../../../plugins/channels/pages.ts";
import type { History } from "../../../plugins/channels.ts";
import { memoryPresenceStore } from "../../../plugins/presence.ts";
import { encodeOnce } from "../../../plugins/shared/encode_once.ts";
import { Payload } from "../../../plugins/shared/payload.ts";

function history(offsets: number[], { epoch = "e", chars = 10 } = {}): History {
  const payload = Payload.of("x".repeat(chars - 2)); // Two quotes.
  return {
    publications: offsets.map((offset) => ({ offset, time: 0, payload })),
    top: { offset: 99, epoch },
  };
}

Deno.test("a page that is read again is the same object, and another page is not", () => {
  const pages = new Pages();
  const page = pages.of("a", history([1, 2, 3])).publications;
  assert.equal(pages.of("a", history([1, 2, 3])).publications, page);
  assert.deepEqual(
    pages.of("a", { ...history([1, 2, 3]), top: { offset: 100, epoch: "e" } }).top.offset,
    100,
  );
  for (
    const other of [
      pages.of("b", history([1, 2, 3])),
      pages.of("a", history([1, 2])),
      pages.of("a", history([3, 2, 1])),
      pages.of("a", history([1, 3])),
      pages.of("a", history([1, 2, 3], { epoch: "f" })),
    ]
  ) assert.notEqual(other.publications, page);
});

Deno.test("a page has at most 512 KiB, but at least one publication", () => {
  const pages = new Pages();
  const lengths = [[65_536, 8], [300_000, 1], [600_000, 1], [10, 20]].map(([chars, length]) => [
    pages.of("a", history(Array.from({ length: 20 }, (_, i) => i + 1), { chars: chars! })).publications
      .length,
    length,
  ]);
  for (const [actual, expected] of lengths) assert.equal(actual, expected);
  assert.deepEqual(pages.of("a", history([])).publications, []);
});

Deno.test("the list of who is present is the same object until somebody comes, changes or goes", () => {
  const store = memoryPresenceStore();
  const present = (client: string) => ({ client, user: "", data: undefined, joinedAt: 0, lastSeenAt: 0 });
  store.put("a", present("1"), 1);
  let encoded = 0;
  const text = encodeOnce((list: readonly { client: string }[]) => {
    encoded++;
    return list.map(({ client }) => client).join();
  });
  const texts = [text(store.list("a")), text(store.list("a"))];
  store.put("a", present("2"), 1);
  texts.push(text(store.list("a")), text(store.list("a")));
  store.remove("a", "1");
  texts.push(text(store.list("a")));
  assert.deepEqual(texts, ["1", "1", "1,2", "1,2", "2"]);
  assert.equal(encoded, 3);
});
