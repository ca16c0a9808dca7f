import { closeCode, messageOf, PlugboardError, type Plugin } from "../../core/mod.ts";
import type {
  ChannelEncoder,
  Channels,
  Client,
  Identity,
  Publication,
  Subscribed,
  SubscribeRequest,
} from "../../plugins/channels.ts";
import { anonymousIdentity } from "../../plugins/shared/identity.ts";

const json = JSON.stringify;

const encoder: ChannelEncoder = {
  publication: (channel, { offset, payload }) =>
    `{"pub":${json(channel)},"offset":${offset},"data":${payload.text}}`,
  join: (channel, { client }, people) => json({ join: channel, client, people }),
  leave: (channel, { client }, people) => json({ leave: channel, client, people }),
  subscribed: (channel, subscribed) => json({ pushed: channel, ...shown(subscribed) }),
  unsubscribed: (channel, { code }) => json({ unsubscribed: channel, code }),
};

/** A `Subscribed` as JSON shows it. */
export type Shown = Omit<Subscribed, "publications"> & { publications: { offset: number; json: string }[] };

/** An answer as JSON shows it: payloads as their text. */
export function shown<Answer extends { publications: readonly Publication[] }>(answer: Answer) {
  const publications = answer.publications.map(({ payload, ...rest }) => ({ ...rest, json: payload.text }));
  return { ...answer, publications };
}

type Command =
  & { do: "subscribe" | "unsubscribe" | "publish" | "history"; channel: string; data?: unknown }
  & SubscribeRequest;

/**
 * A minimal protocol for tests of the channel service: `{"do":"subscribe","channel":"a"}` and so
 * on at `/t`; the user is taken from `?user=`.
 */
export function channelProtocol(
  bus: Channels,
  identify?: (user: string) => Identity,
): Plugin<{ clients: Client[] }> {
  const clients: Client[] = [];
  return {
    name: "channel_protocol",
    api: { clients },
    endpoints: [{
      name: "test",
      path: "/t",
      open(conn, { url }) {
        const user = new URL(url).searchParams.get("user") ?? "";
        const client = bus.connect(conn, {
          identity: identify?.(user) ?? { ...anonymousIdentity, user },
          encoder,
        });
        clients.push(client);
        return {
          async message(text) {
            const { do: what, channel, data, ...request } = JSON.parse(text) as Command;
            try {
              if (what === "subscribe") {
                await client.subscribe(
                  channel,
                  request,
                  (result) => conn.send(json({ subscribed: channel, ...shown(result) })),
                );
              } else if (what === "unsubscribe") conn.send(json({ left: client.unsubscribe(channel) }));
              else if (what === "publish") {
                conn.send(json({ published: await client.publish(channel, data) }));
              } else if (what === "history") {
                conn.send(json({ history: shown(await client.history(channel)) }));
              } else conn.close(closeCode(4500, "unknown"));
            } catch (error) {
              conn.send(json({ error: error instanceof PlugboardError ? error.code : messageOf(error) }));
            }
          },
        };
      },
    }],
  };
}
