import type { Broker } from "../channels.ts";

/** Returns a broker that works only while `check` does not throw. */
export function ownBroker(broker: Broker, check: () => void): Broker {
  return {
    start: (events, host) => broker.start?.(events, host),
    stop: () => broker.stop?.(),
    publish(...args) {
      check();
      return broker.publish(...args);
    },
    announce(...args) {
      check();
      return broker.announce(...args);
    },
    subscribe(channel) {
      check();
      return broker.subscribe(channel);
    },
    unsubscribe: (channel) => broker.unsubscribe(channel),
    history(...args) {
      check();
      return broker.history(...args);
    },
    removeHistory(channel) {
      check();
      return broker.removeHistory(channel);
    },
  };
}
