"""A backend that uses every method of Centrifugo's client library for Python. It prints what it gets as lines of JSON."""

import json
import sys

import cent
from cent import (
    BatchRequest,
    BroadcastRequest,
    ChannelsRequest,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)

address, key = sys.argv[1:]


def say(*values):
    print(json.dumps(values), flush=True)


client = cent.Client(address, key)
first = client.publish(PublishRequest(channel="news", data={"n": 1.1}, idempotency_key="once"))
again = client.publish(PublishRequest(channel="news", data={"n": 1.1}, idempotency_key="once"))
say("publish", first.offset, again.offset, again.epoch == first.epoch)
responses = client.broadcast(BroadcastRequest(channels=["news", "more", ""], data=2)).responses
say("broadcast", responses[0].result.offset, responses[1].result.offset, responses[2].error.code)
history = client.history(
    HistoryRequest(channel="news", limit=10, since=StreamPosition(offset=0, epoch=first.epoch), reverse=False)
)
say("history", [each.data for each in history.publications], history.offset)
client.subscribe(SubscribeRequest(user="ann", channel="news"))
presence = client.presence(PresenceRequest(channel="news")).presence
say("presence", [each.user for each in presence.values()])
stats = client.presence_stats(PresenceStatsRequest(channel="news"))
say("presence_stats", stats.num_clients, stats.num_users)
channels = client.channels(ChannelsRequest(pattern="ne*")).channels
say("channels", {name: about.num_clients for name, about in channels.items()})
nodes = client.info(InfoRequest()).nodes
say("info", len(nodes), nodes[0].num_clients)
client.refresh(RefreshRequest(user="ann", expire_at=4_000_000_000))
client.unsubscribe(UnsubscribeRequest(user="ann", channel="news"))
client.history_remove(HistoryRemoveRequest(channel="news"))
replies = client.batch(
    BatchRequest(
        requests=[PublishRequest(channel="batch", data=1), HistoryRequest(channel="batch", limit=1)],
        parallel=False,
    )
).replies
say("batch", replies[0].offset, replies[1].publications[0].data)
client.disconnect(DisconnectRequest(user="ann", disconnect=cent.Disconnect(code=4500, reason="gone")))
try:
    client.publish(PublishRequest(channel="", data=1))
except cent.CentApiResponseError as error:
    say("error", error.code, error.message)
try:
    cent.Client(address, "wrong").info(InfoRequest())
except cent.CentUnauthorizedError:
    say("wrong key")
