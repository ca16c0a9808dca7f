/**
 * The kernel: a server that knows connections and hooks. Everything else is a plugin.
 *
 * @module
 */

export { Audience } from "./connections/audience.ts";
export type { Admission, ConnectionLimits } from "./contract/admission.ts";
export { built } from "./contract/built.ts";
export { type Clock, systemClock } from "./contract/clock.ts";
export { type CloseCode, closeCode, closeCodes, type Closed } from "./contract/close_codes.ts";
export type { Connection, EndpointInfo } from "./contract/connection.ts";
export type { Endpoint, EndpointOf, Session, TextEndpoint, Upgrade } from "./contract/endpoint.ts";
export { checkOptions, messageOf, type OptionGuards, PlugboardError, refusal } from "./contract/errors.ts";
export { type HttpError, httpError, type HttpErrorHints, refusalFor } from "./contract/http_errors.ts";
export {
  byteLength,
  type DataOf,
  exceedsBytes,
  type FrameKind,
  type Framing,
  type Message,
} from "./contract/framing.ts";
export { type Address, addressOf, type Listening, type OpenListener } from "./contract/listening.ts";
export type { Log, LogLevel, LogRecord, LogSink } from "./contract/log.ts";
export { networkOf } from "./contract/network.ts";
export type {
  AnyPlugin,
  ApiOf,
  App,
  HookName,
  Hooks,
  Host,
  MemoryState,
  Plugin,
  RequestInfo,
  Sent,
  ServerState,
} from "./contract/plugin.ts";
export { attempt, chain, type MaybePromise, type Nothing, within } from "./contract/promises.ts";
export { afterReading } from "./contract/reading.ts";
export { sayAtTerminal } from "./contract/terminal.ts";
export type { Outlet, Transport, TransportEvents, Waiting } from "./contract/transport.ts";
export type { ListenOptions, TlsFiles } from "./http/listener.ts";
export { unlessUpgraded } from "./http/unless_upgraded.ts";
export type { ServerOptions } from "./server/options.ts";
export { Server, type UseOptions } from "./server/server.ts";
export { loadSettings } from "./cli/load_settings.ts";
export { run } from "./cli/run.ts";
export { type Arguments, flagOf, readArguments, suggestion } from "./cli/arguments.ts";
export {
  parseDuration,
  parseSetting,
  readSettings,
  type Setting,
  setting,
  settingsHelp,
  type SettingsOf,
  type SettingSources,
  showSettings,
} from "./cli/settings.ts";
