// A backend that uses every method of Centrifugo's client library for Go. It prints what it gets as lines of JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/centrifugal/gocent/v3"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func say(values ...any) {
	line, err := json.Marshal(values)
	check(err)
	fmt.Println(string(line))
}

func main() {
	ctx := context.Background()
	client := gocent.New(gocent.Config{Addr: os.Args[1], Key: os.Args[2]})

	published, err := client.Publish(ctx, "news", []byte(`{"n":1.10}`))
	check(err)
	say("publish", published.Offset, published.Epoch != "")
	broadcast, err := client.Broadcast(ctx, []string{"news", "more"}, []byte(`2`), gocent.WithSkipHistory(false))
	check(err)
	say("broadcast", broadcast.Responses[0].Result.Offset, broadcast.Responses[1].Result.Offset)
	history, err := client.History(ctx, "news", gocent.WithLimit(gocent.NoLimit))
	check(err)
	say("history", string(history.Publications[0].Data), len(history.Publications), history.Offset)
	check(client.Subscribe(ctx, "news", "ann"))
	presence, err := client.Presence(ctx, "news")
	check(err)
	for _, info := range presence.Presence {
		say("presence", info.User)
	}
	stats, err := client.PresenceStats(ctx, "news")
	check(err)
	say("presence_stats", stats.NumClients, stats.NumUsers)
	channels, err := client.Channels(ctx, gocent.WithPattern("ne*"))
	check(err)
	_, listed := channels.Channels["news"]
	say("channels", listed, len(channels.Channels))
	info, err := client.Info(ctx)
	check(err)
	say("info", len(info.Nodes), info.Nodes[0].NumClients)
	check(client.Unsubscribe(ctx, "news", "ann"))
	check(client.HistoryRemove(ctx, "news"))
	check(client.Disconnect(ctx, "ann"))
	pipe := client.Pipe()
	check(pipe.AddPublish("piped", []byte(`1`)))
	check(pipe.AddPublish("", []byte(`1`)))
	replies, err := client.SendPipe(ctx, pipe)
	check(err)
	say("pipe", replies[0].Error == nil, replies[1].Error.Code, replies[1].Error.Message)
	_, err = gocent.New(gocent.Config{Addr: os.Args[1], Key: "wrong"}).Info(ctx)
	say("wrong key", err.(gocent.ErrStatusCode).Code)
}
