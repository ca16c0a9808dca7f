/** The command `token`: the server accepts what it prints. */

import assert from "node:assert/strict";
import { tokenVerifier } from "../../../plugins/auth/tokens.ts";
import { token } from "../../../plugins/servers/configured/commands/token.ts";
import { load } from "../../../plugins/servers/configured/load.ts";
import { processSources } from "../../../plugins/servers/configured/sources.ts";
import { Server } from "../../../core/mod.ts";

const SECRET = "a secret of more than thirty-two bytes, for all three algorithms";

/** Makes a token with these rules of the file. */
async function made(jwt: unknown, flags: Record<string, string> = {}): Promise<string> {
  const sources = {
    ...processSources([]),
    env: () => undefined,
    dotEnv: () => undefined,
    read: () => JSON.stringify({ jwtSecret: SECRET, signIn: { jwt } }),
  };
  let printed = "";
  await token.run({
    loaded: load(sources),
    wire: () => new Server(),
    words: ["ada"],
    flags: new Map(Object.entries(flags)),
    sources,
    print: (text) => void (printed = text),
  });
  return printed;
}

Deno.test("a token has the issuer, the audience and the algorithm that the file asks for", async () => {
  const rules = [
    {},
    { issuer: "https://id.example.com", audience: ["shop", "blog"] },
    { algorithms: ["RS256", "HS512"] as const, issuer: ["a", "b"] },
  ];
  for (const jwt of rules) {
    const { sub } = await tokenVerifier({ ...jwt, secret: SECRET }).verify(await made(jwt), Date.now());
    assert.equal(sub, "ada");
  }
  await assert.rejects(made({ algorithms: ["RS256"] }), {
    message: "signIn.jwt.algorithms has none that signs with jwtSecret",
  });
});

Deno.test("a token cannot be valid longer than a date can say", async () => {
  await assert.rejects(made({}, { EXP: "9999999999h" }), /^PlugboardError: --exp must be a time/);
});
