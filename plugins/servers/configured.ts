/**
 * A server from a configuration file: `main.ts` plugs the parts together, and this reads their options, builds what the file
 * declares, and answers the commands.
 *
 * ```ts ignore
 * await command(({ settings, options }) => {
 *   const server = new Server(options.server);
 *   ifEnabled(settings.plugins.json, (own) => server.use(json({ ...own, channels: server.use(channels()) })));
 *   return server;
 * });
 * ```
 *
 * @module
 */

export { command, type Wiring } from "./configured/commands.ts";
export type { Loaded } from "./configured/load.ts";
export type * from "./configured/declarations.ts";
export type * from "./configured/plugin_settings.ts";
export type * from "./configured/settings.ts";
export { type Declared, declared, type DeclaredOptions } from "./configured/declared.ts";
export { type Reloading, reloading, type ReloadOptions } from "./configured/reload.ts";
export { enabled, ifEnabled, type WiringOptions, wiringOptions } from "./configured/wiring.ts";
