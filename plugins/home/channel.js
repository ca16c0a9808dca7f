/** The parts of the page about one channel: messages, presence and history. */

import { fillCode } from "./code.js";
import { $, element, nameOf, onSubmit, soon, textOf, words } from "./dom.js";

const MAX_MESSAGES = 100;
const MAX_PEOPLE = 24;
const SHOWN_HISTORY = 10;

/** Shows the channel named in the URL's fragment. */
export function channelParts(client) {
  let subscription;
  let own; // the id of this connection
  const readPeople = soon(() => subscription && showPeople(subscription, own));
  const readHistory = soon(() => subscription && showHistory(subscription));

  function open(channel) {
    if (subscription !== undefined) {
      subscription.removeAllListeners();
      subscription.unsubscribe();
      client.removeSubscription(subscription);
    }
    $("channel").elements.channel.value = channel;
    fillCode({ channel: JSON.stringify(channel) });
    $("another").href = location.href; // the second tab opens the same channel
    for (const id of ["feed", "people", "history"]) $(id).replaceChildren();
    $("channel-error").textContent = "";
    const opened = client.newSubscription(channel, { joinLeave: true });
    subscription = opened;
    opened.on("subscribed", () => {
      $("channel-error").textContent = "";
      readPeople();
      readHistory();
    });
    opened.on("unsubscribed", ({ reason }) => showRefusal(channel, reason));
    opened.on("error", ({ error }) => showRefusal(channel, error.message));
    opened.on("publication", (publication) => {
      showMessage(publication, own);
      readHistory();
    });
    opened.on("join", readPeople);
    opened.on("leave", readPeople);
    opened.subscribe();
  }

  client.on("connected", (context) => own = context.client);
  onSubmit($("channel"), $("channel-error"), ({ channel }) => {
    if (channel.value === channelOfPage()) open(channel.value);
    else location.hash = encodeURIComponent(channel.value);
  });
  onSubmit($("publish"), $("publish-error"), async ({ text }) => {
    if (client.state === "disconnected") throw new Error("Not published: this tab is not connected");
    const sent = text.value;
    await subscription.publish({ text: sent });
    if (text.value === sent) text.value = ""; // unless the user has typed on
  });
  addEventListener("hashchange", () => open(channelOfPage()));
  open(channelOfPage());
}

function channelOfPage() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || "lobby";
  } catch {
    return "lobby"; // an invalid escape, typed by hand
  }
}

function showRefusal(channel, reason) {
  $("channel-error").textContent = `Not subscribed to ${channel}: ${reason}.`;
}

function showMessage({ data, info }, own) {
  const feed = $("feed");
  const name = element("span", { class: "name" }, words(nameOf(info)));
  const message = element("li", info?.client === own ? { class: "own" } : {}, name, " ", words(textOf(data)));
  feed.append(message);
  if (feed.childElementCount > MAX_MESSAGES) feed.firstElementChild.remove();
  feed.scrollTop = feed.scrollHeight;
}

async function showPeople(subscription, own) {
  const clients = await subscription.presence().then((answer) => Object.values(answer.clients), () => []);
  $("count").textContent = clients.length === 0
    ? "–"
    : `${clients.length} ${clients.length === 1 ? "client" : "clients"}`;
  const shown = clients.sort((a, b) => (b.client === own) - (a.client === own)).slice(0, MAX_PEOPLE);
  $("people").replaceChildren(...shown.map((info) => {
    const who = element("li", {}, words(nameOf(info)));
    if (info.client === own) who.append(" ", element("small", {}, "this tab"));
    return who;
  }));
  const others = clients.length - shown.length;
  if (others > 0) $("people").append(element("li", {}, `and ${others} more`));
}

async function showHistory(subscription) {
  try {
    const { publications } = await subscription.history({ limit: SHOWN_HISTORY, reverse: true });
    $("history").replaceChildren(...publications.map(({ offset, data, info }) =>
      element(
        "tr",
        {},
        element("td", { class: "number" }, String(offset)),
        element("td", {}, words(nameOf(info))),
        element("td", {}, words(textOf(data))),
      )
    ));
    $("history-error").textContent = "";
  } catch (error) {
    $("history-error").textContent = `No history: ${error.message}.`;
  }
}
