import { SignJWT } from "jose";
import { parseDuration, PlugboardError, setting } from "../../../../core/mod.ts";
import { argumentsOf, type Command } from "./command.ts";

/** A hundred years: longer than any use, and always a valid date. */
const MAX_MS = 100 * 365 * 86_400_000;

/** Makes a token, signed with `jwtSecret`. */
export const token: Command = {
  name: "token",
  arguments: "USER",
  help: "Prints a token for a user, signed with jwtSecret",
  flags: {
    CHANNEL: setting.optional("Makes a token for a subscription to this channel instead of a connection"),
    EXP: setting.text("1h", "How long it is valid, such as 30m; never for one without an end"),
    PERMISSION: setting.list("What the user may do, separated by commas: read:news,write:chat:*"),
    INFO: setting.optional("What other clients see of the user, as JSON"),
  },
  examples: [
    "token ada",
    "token ada --exp 15m --permission read:news,write:chat:*",
    "token ada --channel '$team:1'",
  ],
  async run({ loaded: { settings }, words, flags, print }) {
    const [user] = argumentsOf(words, "USER");
    const { jwtSecret, signIn: { jwt: { issuer, audience, algorithms = ["HS256"] } = {} } } = settings;
    if (jwtSecret === undefined) {
      throw new PlugboardError("bad_setting", "There is no jwtSecret (JWT_SECRET) to sign a token with");
    }
    const alg = algorithms.find((each) => each.startsWith("HS"));
    if (alg === undefined) {
      throw new PlugboardError("bad_setting", "signIn.jwt.algorithms has none that signs with jwtSecret");
    }
    const [channel, exp, permission, info] = ["CHANNEL", "EXP", "PERMISSION", "INFO"].map((name) =>
      flags.get(name)
    );
    const jwt = new SignJWT({
      ...(channel !== undefined && { channel }),
      ...(permission !== undefined && { permissions: permission.split(",").map((each) => each.trim()) }),
      ...(info !== undefined && { info: jsonOf(info) }),
      ...(issuer !== undefined && { iss: [issuer].flat()[0] }),
      ...(audience !== undefined && { aud: [audience].flat()[0] }),
    }).setProtectedHeader({ alg }).setSubject(user!).setIssuedAt();
    if (exp !== "never") jwt.setExpirationTime(new Date(Date.now() + msOf(exp ?? "1h")));
    print(await jwt.sign(new TextEncoder().encode(jwtSecret)));
  },
};

function msOf(text: string): number {
  const ms = parseDuration(text);
  if (ms > 0 && ms <= MAX_MS) return ms;
  throw new PlugboardError(
    "bad_setting",
    `--exp must be a time such as 30m or 1h, or never, got ${JSON.stringify(text)}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PlugboardError("bad_setting", "--info must be JSON");
  }
}
