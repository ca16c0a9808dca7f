// The story of sdks_test.ts, told by centrifuge-go: client URL json|protobuf
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

func tell(line ...any) {
	text, err := json.Marshal(line)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	url, encoding := os.Args[1], os.Args[2]
	refreshed := make(chan struct{}, 9)
	config := centrifuge.Config{
		Token: "short",
		GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
			refreshed <- struct{}{}
			return "long", nil
		},
		MinReconnectDelay: 10 * time.Millisecond,
		MaxReconnectDelay: 100 * time.Millisecond,
	}
	client := centrifuge.NewJsonClient(url, config)
	if encoding == "protobuf" {
		client = centrifuge.NewProtobufClient(url, config)
	}
	news, err := client.NewSubscription("news", centrifuge.SubscriptionConfig{JoinLeave: true})
	check(err)
	subscribed := make(chan centrifuge.SubscribedEvent, 9)
	publications := make(chan centrifuge.Publication, 9)
	news.OnSubscribed(func(event centrifuge.SubscribedEvent) { subscribed <- event })
	news.OnPublication(func(event centrifuge.PublicationEvent) { publications <- event.Publication })
	documents := make(chan centrifuge.Publication, 9)
	tagged := make(chan centrifuge.Publication, 9)
	for name, received := range map[string]chan centrifuge.Publication{"document": documents, "tagged": tagged} {
		options := centrifuge.SubscriptionConfig{Delta: centrifuge.DeltaTypeFossil}
		if name == "tagged" {
			options = centrifuge.SubscriptionConfig{TagsFilter: centrifuge.FilterEq("lang", "de")}
		}
		subscription, err := client.NewSubscription(name, options)
		check(err)
		subscription.OnPublication(func(event centrifuge.PublicationEvent) { received <- event.Publication })
		check(subscription.Subscribe())
	}
	check(client.Connect())
	check(news.Subscribe())
	tell("subscribed", (<-subscribed).Recoverable)

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = news.Publish(ctx, []byte(`{"n":1}`))
	check(err)
	pub := <-publications
	tell("publication", json.RawMessage(pub.Data), pub.Offset, pub.Info.User)
	presence, err := news.Presence(ctx)
	check(err)
	users := []string{}
	for _, info := range presence.Clients {
		users = append(users, info.User)
	}
	stats, err := news.PresenceStats(ctx)
	check(err)
	tell("presence", users, stats.NumClients, stats.NumUsers)
	history, err := news.History(ctx, centrifuge.WithHistoryLimit(10))
	check(err)
	kept := []json.RawMessage{}
	for _, each := range history.Publications {
		kept = append(kept, each.Data)
	}
	tell("history", kept, history.Offset)
	result, err := client.RPC(ctx, "echo", []byte(`{"text":"grüße"}`))
	check(err)
	tell("rpc", json.RawMessage(result.Data))
	_, err = client.RPC(ctx, "unknown", []byte("null"))
	var failure *centrifuge.Error
	errors.As(err, &failure)
	tell("error", failure.Code)
	<-refreshed
	tell("refreshed")

	again := <-subscribed
	tell("recovered", again.WasRecovering, again.Recovered)
	for range 2 {
		pub = <-publications
		tell("publication", json.RawMessage(pub.Data), pub.Offset)
	}
	for _, received := range []chan centrifuge.Publication{documents, tagged} {
		line := []any{"received"}
		for range 4 {
			line = append(line, json.RawMessage((<-received).Data))
		}
		tell(line...)
	}
	check(news.Unsubscribe())
	client.Close()
}
