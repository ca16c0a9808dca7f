import assert from "node:assert/strict";
import fc from "fast-check";
import { hubSettings } from "../../../plugins/protocols/hub.ts";

const HUB_API_KEY = "secret";

Deno.test("H09 names and defaults are those of the seed", () => {
  assert.deepEqual(hubSettings({ HUB_API_KEY }), {
    apiKey: "secret",
    port: 8081,
    readTimeoutMs: 60_000,
    writeTimeoutMs: 10_000,
    maxMessageBytes: 512 * 1024,
  });
  const set = { PORT: "9000", READ_TIMEOUT: "1m30s", WRITE_TIMEOUT: "500ms", MAX_MESSAGE_SIZE: "1MB" };
  assert.deepEqual(hubSettings({ HUB_API_KEY, ...set }), {
    apiKey: "secret",
    port: 9000,
    readTimeoutMs: 90_000,
    writeTimeoutMs: 500,
    maxMessageBytes: 1024 * 1024,
  });
  const empty = { PORT: "", READ_TIMEOUT: "", WRITE_TIMEOUT: "", MAX_MESSAGE_SIZE: "" };
  assert.deepEqual(hubSettings({ HUB_API_KEY, ...empty }), hubSettings({ HUB_API_KEY }));
});

Deno.test("H09 times and sizes are parsed in every unit", () => {
  const time = (READ_TIMEOUT: string) => hubSettings({ HUB_API_KEY, READ_TIMEOUT }).readTimeoutMs;
  assert.deepEqual(["1ms", "1s", "1m", "1h", "1.5s", "1h2m3s4ms"].map(time), [
    1,
    1_000,
    60_000,
    3_600_000,
    1_500,
    3_723_004,
  ]);
  const size = (MAX_MESSAGE_SIZE: string) => hubSettings({ HUB_API_KEY, MAX_MESSAGE_SIZE }).maxMessageBytes;
  assert.deepEqual(["7", "7B", "7K", "7KB", "7kb", "7 KB", "7MB"].map(size), [
    7,
    7,
    7_168,
    7_168,
    7_168,
    7_168,
    7_340_032,
  ]);
});

Deno.test("H09 the error for an invalid value names it", () => {
  const bad = {
    PORT: ["-1", "65536", "8o8o", "1.5"],
    READ_TIMEOUT: ["60", "0s", "-1s", "s", "60 s", "forever", "1000000h"],
    WRITE_TIMEOUT: ["10sec", "0ms"],
    MAX_MESSAGE_SIZE: ["0", "-1KB", "KB", "1.5MB", "512GB", "9999999MB"],
  };
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      assert.throws(() => hubSettings({ HUB_API_KEY, [name]: value }), {
        code: "bad_setting",
        message: new RegExp(`^${name} must be .*, got ${JSON.stringify(value)}$`),
      });
    }
  }
  assert.throws(() => hubSettings({}), { code: "bad_setting", message: /^HUB_API_KEY must be set/ });
  assert.throws(() => hubSettings({ HUB_API_KEY: "" }), { code: "bad_setting" });
});

Deno.test("H09 every value is either valid or refused", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (time, size) => {
    try {
      const settings = hubSettings({ HUB_API_KEY, READ_TIMEOUT: time, MAX_MESSAGE_SIZE: size });
      for (const value of [settings.readTimeoutMs, settings.maxMessageBytes]) {
        assert.ok(Number.isSafeInteger(value) && value > 0 && value < 2 ** 31);
      }
    } catch (error) {
      assert.equal((error as { code: string }).code, "bad_setting");
    }
  }));
});
