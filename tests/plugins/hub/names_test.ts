import assert from "node:assert/strict";
import fc from "fast-check";
import { channels } from "../../../plugins/channels.ts";
import { idProblem, sessionChannel, sessionKey, userChannel } from "../../../plugins/protocols/hub/names.ts";

const ids = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });

Deno.test("every valid id has its own channel with a valid name", () => {
  const { api } = channels();
  fc.assert(
    fc.property(ids, ids, (a, b) => {
      fc.pre(idProblem("userId", a) === undefined && idProblem("userId", b) === undefined);
      assert.equal(userChannel(a) === userChannel(b), a === b);
      assert.notEqual(userChannel(a), sessionChannel(sessionKey(b)));
      for (
        const channel of [userChannel(a), sessionChannel(sessionKey(a)), sessionChannel(sessionKey(a, b))]
      ) {
        assert.doesNotThrow(() => api.namespaceOf(channel));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("special characters in ids are escaped, and ids that are not text are refused", () => {
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
    assert.match(idProblem("userId", id)!, /^userId /, JSON.stringify(id));
  }
});
