/**
 * The broker of live channels: what it keeps of a channel is the query's instance, and nothing else.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Broker, BrokerEvents, History, Publication } from "../channels.ts";
import type { Instance } from "./instance.ts";

/** A broker that the instances publish through. */
export interface LiveBroker extends Broker {
  /** Whether somebody listens to a channel, or is about to. */
  hears(channel: string): boolean;
  /** Hands a diff to everybody who listens to the instance. */
  diff(instance: Instance, publication: Publication): void;
}

/** Makes the broker. `find` gives the instance of a channel; the others are told when somebody, or nobody, listens. */
export function liveBroker({ find, heard: begun, left }: {
  find: (channel: string) => Instance | undefined;
  heard: (instance: Instance) => void;
  left: (channel: string, instance: Instance) => void;
}): LiveBroker {
  let events: BrokerEvents | undefined;
  const heard = new Set<string>();
  return {
    hears: (channel) => heard.has(channel),
    start(given) {
      events = given;
    },
    publish: () => {
      throw new PlugboardError("permission_denied", "A live query publishes by itself");
    },
    announce() {},
    subscribe(channel) {
      heard.add(channel);
      const instance = find(channel);
      if (instance !== undefined) begun(instance);
    },
    unsubscribe(channel) {
      heard.delete(channel);
      const instance = find(channel);
      if (instance !== undefined) left(channel, instance);
    },
    history(channel, { limit = Infinity, since, reverse }): History {
      const instance = find(channel);
      if (instance === undefined) return { publications: [], top: { offset: 0, epoch: "" } };
      const top = { offset: instance.offset, epoch: instance.epoch };
      const same = since === undefined || since.epoch === "" || since.epoch === instance.epoch;
      if (!same || reverse) return { publications: [], top };
      return { publications: instance.since(since?.offset ?? 0).slice(0, limit), top };
    },
    removeHistory() {},
    diff(instance, publication) {
      for (const channel of instance.channels) events?.publication(channel, publication, instance.epoch);
    },
  };
}
