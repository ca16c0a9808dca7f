import { Centrifuge, createElement as h, createRoot, StrictMode, useState } from "vendor";
import { call } from "/plugboard.js";
import { useChannel, useLive, usePresence } from "/plugboard-react.js";

const client = new Centrifuge(`${location.origin.replace("http", "ws")}/connection/websocket`);
client.connect();

/** What the components have shown, in order. */
globalThis.shown = { orders: [], kept: [], room: [], people: [] };

function Orders({ status }) {
  const orders = useLive(client, "orders", { status });
  globalThis.shown.orders.push(orders.status);
  return h("ul", { id: status }, orders.rows.map(({ id, customer }) => h("li", { key: id }, customer)));
}

function Kept({ status }) {
  const { rows, status: state } = useLive(client, "orders", { status }, { keepPrevious: true });
  globalThis.shown.kept.push(`${state} ${rows.map(({ customer }) => customer)}`);
}

function Refused() {
  const { error } = useLive(client, "secret");
  return h("p", { role: "alert" }, error?.message);
}

function Room() {
  const { publications, publish, status } = useChannel(client, "chat:lobby", { history: 10 });
  const people = usePresence(client, "chat:lobby");
  globalThis.shown.room.push(status);
  globalThis.shown.people.push(people.status);
  return h(
    "section",
    null,
    h("ol", null, publications.map(({ data }, i) => h("li", { key: i }, data))),
    h("output", null, `${people.clients.length} here`),
    h("button", { onClick: () => publish("Hello!") }, "Say hello"),
  );
}

function App() {
  const [page, setPage] = useState("orders");
  const [status, setStatus] = useState("pending");
  const button = (name, onClick) => h("button", { onClick }, name);
  return h(
    "main",
    null,
    button("Orders", () => setPage("orders")),
    button("Room", () => setPage("room")),
    button("Nothing", () => setPage("nothing")),
    button("Shipped", () => setStatus("shipped")),
    button("Add", () => call(client, "addOrder", { customer: "Ada" })),
    button("Both", () => setPage("both")),
    page === "orders" || page === "both" ? h(Orders, { status }) : null,
    page === "both" ? h(Orders, { status }) : null,
    page === "orders" || page === "both" ? h(Kept, { status }) : null,
    page === "orders" ? h(Refused) : null,
    page === "room" ? h(Room) : null,
  );
}

createRoot(document.body).render(h(StrictMode, null, h(App)));
