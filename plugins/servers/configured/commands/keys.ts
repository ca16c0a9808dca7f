import { hash } from "node:crypto";
import { setting } from "../../../../core/mod.ts";
import { argumentsOf, type Command } from "./command.ts";

/** Random bytes of a key. */
const KEY_BYTES = 32;

/** Lists the API keys, or makes one. */
export const keys: Command = {
  name: "keys",
  arguments: "[NAME]",
  help: "Lists the API keys; with a name, makes a key and prints what to add to the file",
  flags: { PERMISSION: setting.list("What the new key may do, separated by commas; by default admin") },
  examples: ["keys", "keys shop --permission write:orders:*,read:orders:*"],
  run({ loaded: { settings }, words, flags, print }) {
    if (words.length === 0) {
      const lines = Object.entries(settings.apiKeys).map(([name, { hash, permissions }]) =>
        `${name}  ${permissions.join(" ")}  (${hash === undefined ? "from the environment" : "by its hash"})`
      );
      print(lines.join("\n") || "There are no API keys");
      return Promise.resolve();
    }
    const [name] = argumentsOf(words, "NAME");
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const key = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
    const permissions = (flags.get("PERMISSION") ?? "admin").split(",").map((each) => each.trim());
    const entry = JSON.stringify({ [name!]: { hash: `sha256:${hash("sha256", key)}`, permissions } });
    print(
      `${key}\n\nThe key is not stored anywhere. Add this to apiKeys in the file:\n\n${entry.slice(1, -1)}`,
    );
    return Promise.resolve();
  },
};
