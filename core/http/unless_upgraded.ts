const marked = new WeakSet<object>();

/**
 * Marks middleware that has nothing to do when an upgrade is accepted. The kernel does not call it then, which saves the
 * dispatch. It is called for other requests, and for upgrades that are refused.
 *
 * ```ts
 * import { type Plugin, unlessUpgraded } from "@plugboard/server";
 *
 * function refusals(): Plugin<{ count(): number }> {
 *   let refused = 0;
 *   return {
 *     name: "refusals",
 *     api: { count: () => refused },
 *     routes(app) {
 *       app.use(unlessUpgraded(async (c, next) => {
 *         await next();
 *         if (c.res.status >= 400) refused++;
 *       }));
 *     },
 *   };
 * }
 * ```
 */
export function unlessUpgraded<M extends (...args: never[]) => unknown>(middleware: M): M {
  marked.add(middleware);
  return middleware;
}

/** Whether middleware is marked. */
export function skipsUpgraded(middleware: object): boolean {
  return marked.has(middleware);
}
