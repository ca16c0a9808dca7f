/** A receiver of webhooks. */

import { Webhook } from "standardwebhooks";
import { Inbox } from "../../kit/mod.ts";

/** The secret of the tests. */
export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** An event as a receiver gets it. */
// deno-lint-ignore no-explicit-any -- tests check its shape
export type ReceivedEvent = any;

/** A request that a receiver got. */
export interface Delivery {
  readonly id: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly events: readonly ReceivedEvent[];
}

/** A receiver that verifies each request with the official library. */
export interface TestReceiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly deliveries: Inbox<Delivery>;
  /** The number of requests. */
  readonly count: number;
  answer: () => Response | Promise<Response>;
  /** Returns the next events that it accepts, from one or several requests. */
  events(count: number): Promise<ReceivedEvent[]>;
}

/** Starts a receiver. */
export function webhookReceiver(port = 0, secret = SECRET): TestReceiver {
  const deliveries = new Inbox<Delivery>();
  const accepted = new Inbox<ReceivedEvent>();
  let count = 0;
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const body = await request.text();
    count++;
    const headers = Object.fromEntries(request.headers);
    const { events } = new Webhook(secret).verify(body, headers) as { events: ReceivedEvent[] };
    deliveries.put({ id: headers["webhook-id"]!, headers, body, events });
    const response = await receiver.answer();
    if (response.ok) { for (const event of events) accepted.put(event); }
    return response;
  });
  const receiver: TestReceiver = {
    url: `http://127.0.0.1:${server.addr.port}/events`,
    port: server.addr.port,
    deliveries,
    get count() {
      return count;
    },
    answer: () => new Response(null, { status: 204 }),
    async events(wanted) {
      const events: ReceivedEvent[] = [];
      while (events.length < wanted) events.push(await accepted.next("an event"));
      return events;
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return receiver;
}
