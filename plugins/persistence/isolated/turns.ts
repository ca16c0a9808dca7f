/**
 * Places for a few reads at once. The others wait in turn: the first of each user, then the second of each, and so on.
 *
 * @module
 */

import { PlugboardError } from "../../../core/mod.ts";

/** A read that has a place or waits for one. */
export interface Turn {
  /** Resolves when it has a place. */
  readonly entered: Promise<void>;
  /** Gives up waiting with an error; does nothing once it has a place. */
  withdraw(error: PlugboardError): void;
}

/** Hands out places. */
export interface Turns {
  /** Asks for a place. Any number of `patient` reads may wait. */
  enter(user: string, patient: boolean): Turn;
  /** Gives a place back. */
  leave(): void;
  /** Rejects all that wait. */
  end(error: PlugboardError): void;
}

interface Waiting extends PromiseWithResolvers<void> {
  readonly patient: boolean;
}

/** Hands out `places`. When `maxWaiting` wait, the latest of the user with the most is refused. */
export function turns(places: number, maxWaiting: number): Turns {
  let free = places;
  let impatient = 0;
  /** Those that wait, by user, in the order in which the users are served. */
  const queues = new Map<string, Waiting[]>();

  function remove(user: string, place: Waiting): boolean {
    const queue = queues.get(user) ?? [];
    const at = queue.indexOf(place);
    if (at === -1) return false;
    queue.splice(at, 1);
    if (queue.length === 0) queues.delete(user);
    if (!place.patient) impatient--;
    return true;
  }

  function refuseOne(): void {
    const hurried = ([, queue]: [string, Waiting[]]) => queue.filter(({ patient }) => !patient);
    const [user] = [...queues].reduce((most, next) =>
      hurried(next).length > hurried(most).length ? next : most
    );
    const last = queues.get(user)!.findLast(({ patient }) => !patient)!;
    remove(user, last);
    last.reject(new PlugboardError("overloaded", `${maxWaiting} queries wait already`));
  }

  return {
    enter(user, patient) {
      const place = { ...Promise.withResolvers<void>(), patient };
      if (free > 0) {
        free--;
        place.resolve();
      } else {
        const queue = queues.get(user);
        if (queue === undefined) queues.set(user, [place]);
        else queue.push(place);
        if (!patient && ++impatient > maxWaiting) refuseOne();
      }
      return {
        entered: place.promise,
        withdraw: (error) => remove(user, place) && place.reject(error),
      };
    },
    leave() {
      const next = queues.entries().next().value;
      if (next === undefined) return void free++;
      const [user, queue] = next;
      const place = queue[0]!;
      remove(user, place);
      if (queues.delete(user)) queues.set(user, queue); // behind the others
      place.resolve();
    },
    end(error) {
      for (const queue of queues.values()) for (const { reject } of queue) reject(error);
      queues.clear();
    },
  };
}
