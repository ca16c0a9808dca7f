import assert from "node:assert/strict";
import fc from "fast-check";
import { checkPathId, pathIdOf } from "../../../plugins/paths/path_id.ts";

const idOf = (target: string, prefix = "/ws") => {
  const path = pathIdOf(`http://host${target}`, prefix);
  return "id" in path ? path.id : undefined;
};

Deno.test("a path's id is the decoded part after the prefix, without the query", () => {
  assert.equal(idOf("/ws/my-store"), "my-store");
  assert.equal(idOf("/ws/my-store?token=a/b"), "my-store");
  assert.equal(idOf("/ws/team/a%20b/ü"), "team/a b/ü");
  assert.equal(idOf("/ws/%C3%BC"), "ü");
  assert.equal(idOf("/ws"), "");
  assert.equal(idOf("/ws/"), "");
  assert.equal(idOf("/a", "/"), "a");
  assert.equal(idOf("/deep/er/a", "/deep/er/"), "a");
});

Deno.test("ids that could be mistaken for another path are refused", () => {
  const hostile = [
    "/ws/..",
    "/ws/../b",
    "/ws/a/../b",
    "/ws/%2e%2e/b",
    "/ws/.%2E/b",
    "/ws/./b",
    "/ws//a",
    "/ws/a//b",
    "/ws/a/",
    "/ws/a%2Fb",
    "/ws/a%5Cb",
    "/ws/a\\b",
    "/ws/a%00",
    "/ws/a%0Ab",
    "/ws/a#b",
    "/ws/a%23b",
    "/ws/a%3Fb",
    "/ws/%ff",
    "/ws/%",
    "/ws/%zz",
    `/ws/${"x".repeat(1025)}`,
    `/ws/${"ü".repeat(513)}`,
    "/wsx/a",
    "/other/a",
    "/%77s/a",
  ];
  for (const target of hostile) assert.equal(idOf(target), undefined, target);
});

Deno.test("every spelling of a path gives the same id", () => {
  const segment = fc.string({ minLength: 1, unit: "grapheme" })
    .filter((text) => !text.includes("/") && "id" in checkPathId(text));
  fc.assert(fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.boolean(), (segments, all) => {
    const spell = (text: string) =>
      all
        ? [...new TextEncoder().encode(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")
        : encodeURIComponent(text);
    assert.equal(idOf(`/ws/${segments.map(spell).join("/")}`), segments.join("/"));
  }));
});
