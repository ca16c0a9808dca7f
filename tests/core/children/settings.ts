import { loadSettings, setting } from "../../../core/mod.ts";

const settings = loadSettings({
  A: setting.text("", "The first"),
  B: setting.text("", "The second"),
  C: setting.text("", "The third"),
});
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(settings)));
