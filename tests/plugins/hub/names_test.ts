import assert from "node:assert/strict";
import fc from "fast-check";
import { channels } from "../../../plugins/channels.ts";
import { sessionChannel, unfitId, userChannel } from "../../../plugins/protocols/hub/names.ts";

const ids = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });

Deno.test("every fit id has a channel of its own, whose name the channels accept", () => {
  const { api } = channels();
  fc.assert(
    fc.property(ids, ids, (a, b) => {
      fc.pre(unfitId("userId", a) === undefined && unfitId("userId", b) === undefined);
      assert.equal(userChannel(a) === userChannel(b), a === b);
      assert.notEqual(userChannel(a), sessionChannel(b));
      for (const channel of [userChannel(a), sessionChannel(a)]) {
        assert.doesNotThrow(() => api.namespaceOf(channel));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("ids that mean something in a channel's name are escaped, and those that are no text refused", () => {
  const special = fc.string({
    unit: fc.constantFrom("/", ".", "%", "2", "F", "#", "?", "\\", "a"),
    minLength: 1,
    maxLength: 8,
  });
  const { api } = channels();
  fc.assert(fc.property(special, special, (a, b) => {
    assert.equal(userChannel(a) === userChannel(b), a === b);
    assert.doesNotThrow(() => api.namespaceOf(userChannel(a)));
  }));
  for (const id of ["", "\n", "a\u0000", "\u2028", "\uD800", "x".repeat(201), "字".repeat(70)]) {
    assert.match(unfitId("userId", id)!, /^userId /, JSON.stringify(id));
  }
});
