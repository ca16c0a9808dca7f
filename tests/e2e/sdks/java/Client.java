// The story of sdks_test.ts, told by centrifuge-java, which speaks Protobuf only: Client.java URL

import io.github.centrifugal.centrifuge.*;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import java.util.stream.Collectors;

public class Client {
    static void tell(String... line) {
        System.out.println("[" + String.join(",", line) + "]");
    }

    static String quote(String text) {
        return '"' + text + '"';
    }

    static String text(byte[] data) {
        return new String(data, StandardCharsets.UTF_8);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static <T> T await(Consumer<ResultCallback<T>> call) throws Exception {
        CompletableFuture<T> result = new CompletableFuture<>();
        call.accept((error, value) -> {
            if (error != null) result.completeExceptionally(error);
            else result.complete(value);
        });
        return result.get();
    }

    public static void main(String[] args) throws Exception {
        CountDownLatch refreshed = new CountDownLatch(1);
        BlockingQueue<SubscribedEvent> subscribed = new LinkedBlockingQueue<>();
        BlockingQueue<PublicationEvent> publications = new LinkedBlockingQueue<>();

        Options options = new Options();
        options.setToken("short");
        options.setTokenGetter(new ConnectionTokenGetter() {
            @Override
            public void getConnectionToken(ConnectionTokenEvent event, TokenCallback callback) {
                refreshed.countDown();
                callback.Done(null, "long");
            }
        });
        options.setMinReconnectDelay(10);
        options.setMaxReconnectDelay(100);
        io.github.centrifugal.centrifuge.Client client =
            new io.github.centrifugal.centrifuge.Client(args[0], options, new EventListener() {});
        SubscriptionOptions wanted = new SubscriptionOptions();
        wanted.setJoinLeave(true);
        Subscription news = client.newSubscription("news", wanted, new SubscriptionEventListener() {
            @Override
            public void onSubscribed(Subscription subscription, SubscribedEvent event) {
                subscribed.add(event);
            }

            @Override
            public void onPublication(Subscription subscription, PublicationEvent event) {
                publications.add(event);
            }
        });
        client.connect();
        news.subscribe();
        tell(quote("subscribed"), subscribed.take().getRecoverable().toString());

        Client.<PublishResult>await(done -> news.publish(bytes("{\"n\":1}"), done));
        PublicationEvent own = publications.take();
        tell(quote("publication"), text(own.getData()), "" + own.getOffset(), quote(own.getInfo().getUser()));
        PresenceResult presence = await(news::presence);
        PresenceStatsResult stats = await(news::presenceStats);
        String users = presence.getClients().values().stream()
            .map(info -> quote(info.getUser())).collect(Collectors.joining(",", "[", "]"));
        tell(quote("presence"), users, stats.getNumClients().toString(), stats.getNumUsers().toString());
        HistoryResult history =
            await(done -> news.history(new HistoryOptions.Builder().withLimit(10).build(), done));
        String kept = history.getPublications().stream()
            .map(each -> text(each.getData())).collect(Collectors.joining(",", "[", "]"));
        tell(quote("history"), kept, "" + history.getOffset());
        RPCResult result = await(done -> client.rpc("echo", bytes("{\"text\":\"grüße\"}"), done));
        tell(quote("rpc"), text(result.getData()));
        client.rpc("unknown", bytes("null"), (error, value) ->
            tell(quote("error"), "" + ((ReplyError) error).getCode()));
        refreshed.await();
        tell(quote("refreshed"));

        SubscribedEvent again = subscribed.take();
        tell(quote("recovered"), again.wasRecovering().toString(), again.getRecovered().toString());
        for (int i = 0; i < 2; i++) {
            PublicationEvent missed = publications.take();
            tell(quote("publication"), text(missed.getData()), "" + missed.getOffset());
        }
        news.unsubscribe();
        client.disconnect();
        System.exit(0);
    }
}
