import type { Serves } from "@plugboard/server/client";
import { useChannel, useLive, usePresence } from "@plugboard/server/client/react";
import type { Centrifuge } from "centrifuge";
import type { Api } from "./api.ts";

export function Orders({ client }: { client: Centrifuge & Serves<Api> }) {
  const { rows, error } = useLive(client, "orders", { status: "pending" });
  const { publications, publish } = useChannel<{ text: string }>(client, "chat:lobby", { history: 50 });
  const { clients } = usePresence(client, "chat:lobby");
  if (error) return <p>{error.message}</p>;
  return (
    <section onClick={() => publish({ text: "Hello!" })}>
      {rows.map(({ id, customer }) => <p key={id.toFixed()}>{customer.toUpperCase()}</p>)}
      {publications.map(({ data }, i) => <p key={i}>{data.text}</p>)}
      {clients.map(({ client, user }) => <p key={client}>{user}</p>)}
    </section>
  );
}
