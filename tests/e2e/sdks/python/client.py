"""The story of sdks_test.ts, told by centrifuge-python: client.py URL json|protobuf"""

import asyncio
import json
import sys

import centrifuge

url, encoding = sys.argv[1:]
protobuf = encoding == "protobuf"


def tell(*line):
    print(json.dumps(line), flush=True)


def encode(value):
    return json.dumps(value).encode() if protobuf else value


def decode(data):
    return json.loads(data) if protobuf else data


refreshed = asyncio.Event()
subscribed = asyncio.Queue()
publications = asyncio.Queue()
documents = asyncio.Queue()
tagged = asyncio.Queue()


async def get_token():
    refreshed.set()
    return "long"


class Events(centrifuge.SubscriptionEventHandler):
    async def on_subscribed(self, ctx):
        subscribed.put_nowait(ctx)

    async def on_publication(self, ctx):
        publications.put_nowait(ctx.pub)


class Into(centrifuge.SubscriptionEventHandler):
    def __init__(self, queue):
        self.queue = queue

    async def on_publication(self, ctx):
        self.queue.put_nowait(ctx.pub)


async def main():
    client = centrifuge.Client(
        url, token="short", get_token=get_token, use_protobuf=protobuf, min_reconnect_delay=0.01, max_reconnect_delay=0.1
    )
    news = client.new_subscription("news", events=Events(), join_leave=True)
    fossil, german = centrifuge.DeltaType.FOSSIL, centrifuge.Filter.eq("lang", "de")
    document = client.new_subscription("document", events=Into(documents), delta=fossil)
    filtered = client.new_subscription("tagged", events=Into(tagged), tags_filter=german)
    await client.connect()
    for subscription in (news, document, filtered):
        await subscription.subscribe()
    tell("subscribed", (await subscribed.get()).recoverable)

    await news.publish(encode({"n": 1}))
    pub = await publications.get()
    tell("publication", decode(pub.data), pub.offset, pub.info.user)
    presence = await news.presence()
    stats = await news.presence_stats()
    tell("presence", [each.user for each in presence.clients.values()], stats.num_clients, stats.num_users)
    history = await news.history(limit=10)
    tell("history", [decode(each.data) for each in history.publications], history.offset)
    tell("rpc", decode((await client.rpc("echo", encode({"text": "grüße"}))).data))
    try:
        await client.rpc("unknown", encode(None))
    except centrifuge.ReplyError as error:
        tell("error", error.code)
    await refreshed.wait()
    tell("refreshed")

    again = await subscribed.get()
    tell("recovered", again.was_recovering, again.recovered)
    for _ in range(2):
        pub = await publications.get()
        tell("publication", decode(pub.data), pub.offset)
    for queue in (documents, tagged):
        tell("received", *[decode((await queue.get()).data) for _ in range(4)])
    await news.unsubscribe()
    await client.disconnect()


asyncio.run(main())
