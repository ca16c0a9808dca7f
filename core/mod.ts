/**
 * The kernel: a server that knows connections and hooks. Everything else is a plugin.
 *
 * @module
 */

export { Audience } from "./audience.ts";
export { type Clock, systemClock } from "./clock.ts";
export { type CloseCode, closeCode, closeCodes, type Closed } from "./close_codes.ts";
export type { Connection } from "./connection.ts";
export type { Endpoint, EndpointOf, Message, Session, Transport, Upgrade } from "./endpoint.ts";
export { checkOptions, messageOf, type OptionGuards, PlugboardError, refusal } from "./errors.ts";
export type { Address } from "./listener.ts";
export type { Log, LogLevel, LogRecord, LogSink } from "./log.ts";
export type { ServerOptions } from "./options.ts";
export type {
  Admission,
  AnyPlugin,
  ApiOf,
  App,
  HookName,
  Hooks,
  Host,
  MaybePromise,
  Nothing,
  Plugin,
  Sent,
  ServerState,
} from "./plugin.ts";
export { loadSettings } from "./load_settings.ts";
export { run } from "./run.ts";
export {
  readSettings,
  type Setting,
  setting,
  settingsHelp,
  type SettingsOf,
  type SettingSources,
  showSettings,
} from "./settings.ts";
export { Server } from "./server.ts";
