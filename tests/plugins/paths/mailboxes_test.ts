import assert from "node:assert/strict";
import type { Host } from "../../../core/mod.ts";
import { Mailboxes, type MailLimits } from "../../../plugins/paths/mailboxes.ts";
import { FakeClock } from "../../kit/mod.ts";

async function mailboxes(limits: MailLimits): Promise<Mailboxes> {
  const boxes = new Mailboxes(limits, undefined);
  await boxes.start({ clock: new FakeClock() } as unknown as Host);
  return boxes;
}

const message = (payload: string) => ({ from: "S", payload });

Deno.test("10,050 comings and goings of one client do not evict another's mail", async () => {
  const boxes = await mailboxes({});
  boxes.open("shop", "ann", "user ann");
  boxes.open("shop", "bob", "user bob");
  assert.equal(boxes.add("shop", "ann", message("hello")), "kept");
  for (let i = 0; i < 10_050; i++) boxes.open(`path${i}`, `client${i}`, "user eve");
  assert.deepEqual(boxes.take("shop", "ann"), [message("hello")]);
  assert.equal(boxes.add("shop", "bob", message("hello")), "kept");
  assert.equal(boxes.add("path0", "client0", message("hello")), "unknown_client", "the own mail is evicted");
  assert.equal(boxes.add("path10049", "client10049", message("hello")), "kept");
  boxes.stop();
});

Deno.test("the mail of one client leaves space for that of others", async () => {
  const boxes = await mailboxes({ maxTotalBytes: 4_000, maxBytes: 400 });
  for (const client of ["1", "2", "3", "4"]) boxes.open("a", client, "user eve");
  boxes.open("a", "ann", "user ann");
  const text = message("x".repeat(400));
  const kept = ["1", "2", "3", "4"].map((client) => boxes.add("a", client, text));
  assert.deepEqual(kept, ["kept", "kept", "mailbox_full", "mailbox_full"], "a quarter of all");
  assert.equal(boxes.add("a", "ann", text), "kept");
  boxes.take("a", "1");
  assert.equal(boxes.add("a", "3", text), "kept", "taken mail does not count");
  boxes.stop();
});
