/**
 * What the API asks the nodes of the server. Each answers for its own channels and clients, in slices.
 *
 * @module
 */

import type { Access } from "../auth.ts";
import type { ChannelAction, Channels, Client, Cluster, Verdict } from "../channels.ts";
import { Slices } from "../shared/slices.ts";
import type { Figures, JournalEntry, JournalFilter } from "../stats.ts";
import type { Workers } from "../workers.ts";
import { TOPIC } from "./asking.ts";
import { FirstItems } from "./first_items.ts";
import { globMatcher } from "./glob.ts";
import { type ListedWorker, listedWorker } from "./listed_worker.ts";

/** Which part of a list to read. */
export interface PageOf {
  /** Only entries after this key. */
  readonly after: string;
  /** The maximum number. Without it, the page has all in any order. */
  readonly limit?: number | undefined;
}

/** Which channels to list. */
export interface ChannelsQuestion extends PageOf {
  /** A pattern as in {@linkcode globMatcher}; empty for all. */
  readonly pattern: string;
}

/** Which connections to list. */
export interface ConnectionsQuestion extends PageOf {
  readonly user?: string;
  readonly channel?: string;
}

/** A part of a list, in the order of the keys. */
export interface Page<Item> {
  readonly entries: readonly { readonly key: string; readonly item: Item }[];
  readonly more: boolean;
}

/** A connection in a list. */
export interface ListedConnection {
  readonly user: string;
  readonly protocol: string;
  readonly ip: string;
  readonly connected_at: number;
  readonly num_channels: number;
}

/** The load of a node. */
export interface NodeInfo {
  readonly num_clients: number;
  readonly num_users: number;
  readonly num_channels: number;
  readonly num_subs: number;
  readonly uptime: number;
  readonly workers?: readonly ListedWorker[];
}

/** The parts of the channel service that a node answers from. */
export type LocalChannels = Pick<Channels, "clients" | "clientOf" | "localChannels">;

/** What else a node answers from. */
export interface NodeParts {
  uptime(): number;
  figures(after: number): readonly Figures[];
  journal(of: JournalFilter): readonly JournalEntry[];
  signInOf: Access["signInOf"];
  workers: Workers | undefined;
}

/** What to search for. */
export interface SearchQuestion {
  /** In lower case. */
  readonly text: string;
  readonly limit: number;
}

/** What a node has found. */
export interface Found {
  readonly channels: readonly { readonly channel: string; readonly num_clients: number }[];
  readonly users: readonly { readonly user: string; readonly num_clients: number }[];
  readonly clients: readonly { readonly client: string; readonly user: string }[];
}

/** Whether a connected client, or any of a user, may do something. */
export interface VerdictQuestion {
  readonly user?: string;
  readonly client?: string;
  readonly channel: string;
}

/** The verdicts for each action. */
export type Verdicts = Readonly<Record<ChannelAction, Verdict>>;

/** All that a client can do with a channel. */
export const ACTIONS: readonly ChannelAction[] = ["subscribe", "publish", "presence", "history"];

/** Answers the questions for this node. Returns the function that ends it. */
export function answerQuestions(
  cluster: Cluster,
  channels: LocalChannels,
  { uptime, figures, journal, signInOf, workers }: NodeParts,
): () => void {
  const answers = {
    channels: (question: ChannelsQuestion) => listChannels(channels, question),
    connections: (question: ConnectionsQuestion) => listConnections(channels, question),
    connection: ({ client }: { client: string }) => describe(channels.clientOf(client), signInOf),
    search: (question: SearchQuestion) => search(channels, question),
    verdict: (question: VerdictQuestion) => verdicts(channels, question),
    journal: (of: JournalFilter) => journal(of),
    info: async (): Promise<NodeInfo> => ({
      ...await load(channels),
      uptime: uptime(),
      ...(workers !== undefined && { workers: workers.workers.map(listedWorker) }),
    }),
    figures: ({ after }: { after: number }) => figures(after),
  };
  const ends = Object.entries(answers).map(([topic, answer]) =>
    cluster.on(TOPIC + topic, answer as (question: unknown) => unknown)
  );
  return () => ends.forEach((end) => end());
}

async function listChannels(
  { localChannels }: LocalChannels,
  { pattern, after, limit }: ChannelsQuestion,
): Promise<Page<number>> {
  const matches = globMatcher(pattern);
  return await firstOf(localChannels(), { after, limit }, (add, { channel, subscribers }) => {
    if (subscribers > 0 && channel > after && matches(channel)) add(channel, subscribers);
  });
}

async function listConnections(
  { clients }: LocalChannels,
  { user, channel, after, limit }: ConnectionsQuestion,
): Promise<Page<ListedConnection>> {
  const page = await firstOf<Client, Client>(clients.values(), { after, limit }, (add, client) => {
    if (client.id <= after || user !== undefined && client.identity.user !== user) return;
    if (channel === undefined || client.subscriptions.has(channel)) add(client.id, client);
  });
  return { ...page, entries: page.entries.map(({ key, item }) => ({ key, item: listed(item) })) };
}

/** Reads everything in slices. */
async function firstOf<Source, Item>(
  sources: Iterable<Source>,
  { limit }: PageOf,
  read: (add: (key: string, item: Item) => void, source: Source) => void,
): Promise<Page<Item>> {
  const slices = new Slices();
  const all: { key: string; item: Item }[] = [];
  const first = limit === undefined ? undefined : new FirstItems<Item>(limit);
  const add = (key: string, item: Item) =>
    first === undefined ? void all.push({ key, item }) : first.add(key, item);
  for (const source of sources) {
    read(add, source);
    if (slices.due) await slices.next();
  }
  return first === undefined ? { entries: all, more: false } : { entries: first.entries, more: first.more };
}

async function load({ clients, localChannels }: LocalChannels): Promise<Omit<NodeInfo, "uptime">> {
  const slices = new Slices();
  const users = new Set<string>();
  for (const { identity } of clients.values()) {
    users.add(identity.user);
    if (slices.due) await slices.next();
  }
  let [channels, subscriptions] = [0, 0];
  for (const { subscribers } of localChannels()) {
    if (subscribers > 0) channels++;
    subscriptions += subscribers;
    if (slices.due) await slices.next();
  }
  return {
    num_clients: clients.size,
    num_users: users.size,
    num_channels: channels,
    num_subs: subscriptions,
  };
}

function listed({ conn, identity, subscriptions }: Client): ListedConnection {
  return {
    user: identity.user,
    protocol: conn.endpoint.name,
    ip: conn.ip,
    connected_at: conn.openedAt,
    num_channels: subscriptions.size,
  };
}

/** Describes a connection as plain data; `null` if there is none. */
function describe(client: Client | undefined, signInOf: Access["signInOf"]): object | null {
  if (client === undefined) return null;
  const { id, conn, identity: { expiresAt, info, anonymous } } = client;
  const signIn = signInOf(conn);
  const channels = Array.from(client.subscriptions.values(), (subscription) => {
    const { channel, since, expiresAt, serverSide, recoverable, positioned } = subscription;
    const expires = expiresAt === undefined ? {} : { expires_at: expiresAt };
    return [channel, { since, ...expires, server_side: serverSide, recoverable, positioned }];
  });
  return {
    client: id,
    ...listed(client),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
    ...(info !== undefined && { info: JSON.parse(info) }),
    queued_bytes: conn.queuedBytes,
    anonymous: anonymous === true,
    ...(signIn !== undefined && { permissions: signIn.permissions.slice(0, MAX_PERMISSIONS) }),
    ...(signIn?.issuedAt !== undefined && { issued_at: signIn.issuedAt }),
    ...(signIn?.apiKey !== undefined && { api_key: signIn.apiKey }),
    channels: Object.fromEntries(channels),
  };
}

/** How many permissions of a connection are shown. */
const MAX_PERMISSIONS = 100;

async function search(
  { clients, localChannels }: LocalChannels,
  { text, limit }: SearchQuestion,
): Promise<Found> {
  const slices = new Slices();
  const channels = new FirstItems<number>(limit);
  for (const { channel, subscribers } of localChannels()) {
    if (channel.toLowerCase().includes(text)) channels.add(channel, subscribers);
    if (slices.due) await slices.next();
  }
  const users = new Map<string, number>();
  const found: { client: string; user: string }[] = [];
  for (const { id, identity: { user } } of clients.values()) {
    if (id.startsWith(text) && found.length < limit) found.push({ client: id, user });
    const known = users.get(user);
    if (known !== undefined) users.set(user, known + 1);
    else if (user !== "" && users.size < limit && user.toLowerCase().includes(text)) users.set(user, 1);
    if (slices.due) await slices.next();
  }
  return {
    channels: channels.entries.map(({ key, item }) => ({ channel: key, num_clients: item })),
    users: Array.from(users, ([user, num_clients]) => ({ user, num_clients })),
    clients: found,
  };
}

/** Returns the verdicts for a client, or for the first one of a user; `null` if there is none. */
function verdicts(
  { clients, clientOf }: LocalChannels,
  { user, client: id, channel }: VerdictQuestion,
): object | null {
  const client = id !== undefined
    ? clientOf(id)
    : clients.values().find(({ identity }) => identity.user === user);
  if (client === undefined) return null;
  const decided = ACTIONS.map((action) => [action, client.verdict(action, channel)]);
  return { client: client.id, user: client.identity.user, verdicts: Object.fromEntries(decided) };
}
