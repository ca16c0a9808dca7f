/**
 * The types of the client: what it needs of the official SDK, and what it learns of a server's contract.
 *
 * @module
 */

/** Data that a connection shows to others. */
export interface ClientInfo {
  /** The id of the connection. */
  readonly client: string;
  /** The user; empty for an anonymous client. */
  readonly user: string;
  /** Data of the connection. */
  // deno-lint-ignore no-explicit-any -- JSON of the app
  readonly connInfo?: any;
  /** Data of the subscription. */
  // deno-lint-ignore no-explicit-any -- JSON of the app
  readonly chanInfo?: any;
}

/** A place in a channel's history. */
export interface StreamPosition {
  /** The number of publications so far. */
  readonly offset: number;
  /** Identifies the history. */
  readonly epoch: string;
}

/** What the SDK tells about a new subscription. */
export interface SubscribedContext {
  /** Data of the server. */
  // deno-lint-ignore no-explicit-any -- JSON of the app
  readonly data?: any;
  /** Whether it asked for the publications since an earlier subscription, and got them. */
  readonly wasRecovering: boolean;
  /** Whether it got all of them. */
  readonly recovered: boolean;
  /** Where it begins. */
  readonly streamPosition?: StreamPosition;
}

/** A publication. */
// deno-lint-ignore no-explicit-any -- JSON of the app
export interface Publication<Data = any> {
  /** What was published. */
  readonly data: Data;
  /** Its number in the history, if there is one. */
  readonly offset?: number;
  /** Who published it; absent for a server. */
  readonly info?: ClientInfo;
  /** Its labels. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** Why something failed. */
export interface ClientError {
  /** For programs: https://centrifugal.dev/docs/server/codes, or a number of the app. */
  readonly code: number;
  /** For people. */
  readonly message: string;
}

/** The events of a subscription. */
export interface SubscriptionEvents {
  /** It is being made, for the first time or again. */
  subscribing: (context: unknown) => void;
  /** It is there. */
  subscribed: (context: SubscribedContext) => void;
  /** It has ended. */
  unsubscribed: (context: { readonly code: number; readonly reason: string }) => void;
  /** An attempt failed and is repeated. */
  error: (context: { readonly error: ClientError }) => void;
  /** Something was published. */
  publication: (publication: Publication) => void;
  /** A client has come. */
  join: (context: { readonly info: ClientInfo }) => void;
  /** A client has gone. */
  leave: (context: { readonly info: ClientInfo }) => void;
}

/** What is used of a subscription of the SDK. */
export interface SdkSubscription {
  /** `unsubscribed`, `subscribing` or `subscribed`. */
  readonly state: string;
  /** Begins. */
  subscribe(): void;
  /** Ends. */
  unsubscribe(): void;
  /** Adds a listener. */
  // deno-lint-ignore no-explicit-any -- the SDK's types of events are narrower and wider at once
  on(event: keyof SubscriptionEvents, listener: (context: any) => void): unknown;
  /** Removes a listener. */
  // deno-lint-ignore no-explicit-any -- the same
  off(event: keyof SubscriptionEvents, listener: (context: any) => void): unknown;
  /** Who is in the channel. */
  presence(): Promise<{ readonly clients: Readonly<Record<string, ClientInfo>> }>;
  /** What was published. */
  history(options: { limit: number; reverse: boolean; since?: StreamPosition }): Promise<{
    readonly publications: readonly Publication[];
    readonly offset: number;
    readonly epoch: string;
  }>;
}

/** What is used of a client of the SDK: `new Centrifuge(url)`. */
export interface SdkClient {
  /** Makes a subscription. */
  newSubscription(
    channel: string,
    options?: { joinLeave?: boolean; since?: StreamPosition },
  ): SdkSubscription;
  /** Forgets a subscription. */
  // deno-lint-ignore no-explicit-any -- it takes the SDK's own class alone
  removeSubscription(subscription: any): void;
  /** Calls a method. */
  // deno-lint-ignore no-explicit-any -- JSON of the app
  rpc(method: string, data: any): Promise<{ readonly data: any }>;
  /** Publishes. */
  // deno-lint-ignore no-explicit-any -- JSON of the app
  publish(channel: string, data: any): Promise<unknown>;
}

/**
 * Gives a client the types of a server. They exist for the compiler alone:
 * `const client: Centrifuge & Serves<Api> = new Centrifuge(url)`.
 */
export interface Serves<Api> {
  /** Never has a value. */
  readonly "~api"?: Api;
}

/** A client of the SDK, with the types of a server or without. */
export type Client<Api> = SdkClient & Serves<Api>;

/** The definitions of one kind in a contract. */
export type Part<Api, Kind extends string> = Api extends { readonly [K in Kind]: infer Definitions }
  ? Definitions
  // deno-lint-ignore ban-types -- without names
  : {};

/** The names of live queries; any without a contract. */
export type QueryName<Api> = unknown extends Api ? string : keyof Part<Api, "queries"> & string;

/** The names of methods and mutations; any without a contract. */
export type CallName<Api> = unknown extends Api ? string
  : keyof (Part<Api, "methods"> & Part<Api, "mutations">) & string;

/** What a definition takes; `unknown` if it does not say. */
export type Given<Definition> = Definition extends { readonly "~types"?: infer Types }
  ? Types extends { readonly input: infer Input } ? Input : unknown
  : unknown;

/** What a definition gives, as JSON carries it. */
export type Gives<Definition> = Definition extends { readonly "~types"?: infer Types }
  ? Types extends { readonly output: infer Output } ? Json<Output> : unknown
  : unknown;

/** A value after its way as JSON. */
export type Json<Value> = Value extends bigint | Date ? string
  : Value extends object ? { [Key in keyof Value]: Json<Value[Key]> }
  : Value;

/** The parameters of a live query. They may be left out if all of them may. */
export type ParamsOf<Api, Name extends string> = Optional<
  unknown extends Api ? Readonly<Record<string, unknown>> | undefined
    : Name extends keyof Part<Api, "queries"> ? Given<Part<Api, "queries">[Name]>
    : never
>;

/** A row of a live query. */
export type RowOf<Api, Name extends string> = Name extends keyof Part<Api, "queries">
  ? AsRow<Gives<Part<Api, "queries">[Name]>>
  // deno-lint-ignore no-explicit-any -- no contract says more
  : Record<string, any>;

/** A row without a declared type has any columns. */
// deno-lint-ignore no-explicit-any -- no contract says more
export type AsRow<Row> = unknown extends Row ? Record<string, any> : Row;

/** The arguments of a method or mutation. They may be left out if it takes none. */
export type ArgsOf<Api, Name extends string> = Optional<
  unknown extends Api ? unknown : Given<
    (Part<Api, "methods"> & Part<Api, "mutations">)[
      & Name
      & keyof (Part<Api, "methods"> & Part<Api, "mutations">)
    ]
  >
>;

/** The reply of a method or mutation. */
export type ResultOf<Api, Name extends string> = unknown extends Api
  // deno-lint-ignore no-explicit-any -- no contract says more
  ? any
  : Gives<
    (Part<Api, "methods"> & Part<Api, "mutations">)[
      & Name
      & keyof (Part<Api, "methods"> & Part<Api, "mutations">)
    ]
  >;

/** An argument that may be left out where nothing in it is required. */
export type Optional<Value> = unknown extends Value ? [value?: Value]
  : undefined extends Value ? [value?: Value]
  // deno-lint-ignore ban-types -- an object without required members
  : {} extends Value ? [value?: Value]
  : [value: Value];
