/** The live query part of the page. */

import { $, element, onSubmit, sentence, words } from "./dom.js";

/** Shows the rows, if the server has the table. */
export async function ideasPart(client) {
  if (document.body.dataset.demo !== "on") return;
  const { liveRows } = await import("../live_rows.js");
  $("ideas").hidden = false;
  const [form, alert] = [$("ideas").querySelector("form"), $("ideas").querySelector("[role=alert]")];
  const rows = new Map();

  const vote = (id) =>
    client.rpc("home.vote", { id }).then(() => alert.textContent = "", (error) => {
      alert.textContent = sentence(error);
    });

  function show(ideas) {
    const body = $("ideas").querySelector("tbody");
    const focused = document.activeElement;
    for (const id of rows.keys()) if (!ideas.some((idea) => idea.id === id)) rows.delete(id);
    body.replaceChildren(...ideas.map((idea) => {
      const row = rows.get(idea.id) ?? rowOf(idea, vote);
      rows.set(idea.id, row);
      row.querySelector("output").textContent = String(idea.votes);
      return row;
    }));
    focused?.focus({ preventScroll: true }); // moving a row removes the focus
  }

  const ideas = liveRows();
  const query = client.newSubscription("live:home.ideas");
  query.on("subscribed", ({ data }) => data && show(ideas.apply(data)));
  query.on("publication", ({ data }) => show(ideas.apply(data)));
  query.on("unsubscribed", ({ reason }) => alert.textContent = sentence(`Not subscribed: ${reason}`));
  query.subscribe();

  onSubmit(form, alert, async ({ idea }) => {
    await client.rpc("home.add", { idea: idea.value });
    form.reset();
  });
}

function rowOf({ id, idea }, vote) {
  const button = element("button", { type: "button", "aria-label": `Vote for ${idea}` }, "Vote");
  button.addEventListener("click", () => vote(id));
  return element(
    "tr",
    {},
    element("td", {}, words(idea)),
    element("td", { class: "number" }, element("output")),
    element("td", {}, button),
  );
}
