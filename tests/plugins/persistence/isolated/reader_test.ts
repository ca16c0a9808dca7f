import assert from "node:assert/strict";
import fc from "fast-check";
import { frame, framesIn } from "../../../../plugins/persistence/isolated/frames.ts";
import { hasStatement, startOfStatement } from "../../../../plugins/shared/sql_text.ts";
import { cpuMs, slowdown } from "../../../kit/mod.ts";

Deno.test("frames are decoded however the stream is split", async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 300, size: "max" }), { maxLength: 20, size: "max" });
  await fc.assert(
    fc.asyncProperty(bodies, fc.infiniteStream(fc.integer({ min: 1, max: 200 })), async (sent, cuts) => {
      const bytes = sent.flatMap((body) => [...frame(body)]);
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let at = 0; at < bytes.length;) {
            const size = cuts.next().value;
            controller.enqueue(new Uint8Array(bytes.slice(at, at += size)));
          }
          controller.enqueue(new Uint8Array([0, 0, 0, 9, 1])); // cut off
          controller.close();
        },
      });
      const received = await Array.fromAsync(framesIn(stream), (body) => new Uint8Array(body));
      assert.deepEqual(received, sent);
    }),
  );
});

Deno.test("SQL without a statement is recognized in linear time", () => {
  for (const sql of ["", " \n;; ", "-- x", "/* x", "/* x */ ; -- y\n/**/"]) assert(!hasStatement(sql), sql);
  for (const sql of ["x", "/* x */ y", "-- x\ny", "''", "/", "-", "-- x\n/* y */ z -- w"]) {
    assert(hasStatement(sql), sql);
  }
  const ms = cpuMs(() => {
    assert(hasStatement(`${"/**/".repeat(25_000)}x`));
    assert(hasStatement("/*".repeat(50_000).slice(0, -1).concat("*/x")));
  });
  assert(ms < 200 * slowdown(), `${ms} ms`);
});

// Whatever SQLite finds no statement in would end the process.
Deno.test("SQL in which persistence finds no statement is blank", () => {
  const piece = fc.constantFrom(
    " ",
    "\n",
    "\f",
    ";",
    "-",
    "--",
    "/*",
    "*/",
    "*",
    "/",
    "\uFEFF",
    "\u00A0",
    "x",
    "'",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12, size: "max" }), (pieces) => {
      const sql = pieces.join("");
      let begin: number | undefined;
      try {
        begin = startOfStatement(sql);
      } catch { /* it begins like no statement, which SQLite refuses */ }
      if (begin === sql.length) assert(!hasStatement(sql), JSON.stringify(sql));
    }),
    { numRuns: 2_000 },
  );
});
