/**
 * Origins: which web pages may talk to this server from a browser.
 *
 * A browser sends the origin of the page with each upgrade, and a page cannot forge it. Without this check any page
 * that a user visits could open a connection in the user's name, or reach a server on the user's own machine.
 *
 * @module
 */

import { checkOptions, PlugboardError } from "../../core/mod.ts";
import { isLoopback } from "./client_ip.ts";

/** What the check needs to know about the server. */
export interface OriginOptions {
  /** `https://app.example.com`, `https://*.example.com`, `null`, or `*` for any. */
  readonly allowed: readonly string[];
  /** Whether the server listens beyond this machine; known once it has started. */
  readonly exposed: () => boolean;
  /** Whether the server has no sign-in. */
  readonly open: boolean;
}

/** Checks the headers of requests. */
export interface OriginCheck {
  /** Whether the page that sent the request is allowed. */
  allowsOrigin(headers: Headers): boolean;
  /** Whether the request names this server: a page that reads from its own hostname sends no `Origin`. */
  allowsHost(headers: Headers): boolean;
  /** Both. */
  admits(headers: Headers): boolean;
  /**
   * Whether the request may have credentials: not if a browser says that a page of another site sent it, with an image
   * or a link for example, unless the page's origin is allowed.
   */
  admitsCredentials(headers: Headers): boolean;
}

/**
 * Makes the check for the plugin with this name.
 *
 * Requests without an origin are always allowed, and listed origins. On loopback, pages of this machine are allowed
 * too. Pages of the server's own hostname are allowed only if the server has sign-in: a page can point its own
 * hostname to 127.0.0.1 (DNS rebinding).
 */
export function originCheck(plugin: string, { allowed, exposed, open }: OriginOptions): OriginCheck {
  const listed = originMatcher(plugin, "origins", allowed);
  // Most clients send the same host, and the pages of one app the same origin.
  const [parseOrigin, parseHost] = [rememberLatest(parse), rememberLatest(parse)];
  const namesLoopback = rememberLatest((host) => isLoopback(parse(`http://${host}`)?.hostname ?? ""));
  const check = {
    allowsOrigin(headers: Headers) {
      const origin = headers.get("origin");
      if (origin === null || listed(origin)) return true;
      const url = parseOrigin(origin);
      if (url === undefined) return false;
      if (!exposed() && isLoopback(url.hostname)) return true;
      return !open && url.host === parseHost(`${url.protocol}//${headers.get("host") ?? ""}`)?.host;
    },
    allowsHost(headers: Headers) {
      const host = headers.get("host");
      if (!open || host === null || namesLoopback(host)) return true;
      return listed(`http://${host}`) || listed(`https://${host}`); // the page's origin is allowed anyway
    },
  };
  return {
    ...check,
    admits: (headers) => check.allowsOrigin(headers) && check.allowsHost(headers),
    admitsCredentials(headers) {
      if (headers.has("origin")) return check.allowsOrigin(headers);
      return headers.get("sec-fetch-site") !== "cross-site";
    },
  };
}

/** Makes a function that tells whether an origin matches one of the patterns. */
export function originMatcher(
  plugin: string,
  option: string,
  patterns: readonly string[],
): (origin: string) => boolean {
  const any = patterns.includes("*");
  const matchers = patterns.filter((pattern) => pattern !== "*").map((pattern) => {
    const wildcard = pattern.match(/^(https?:\/\/)\*(\.[^*/]+)$/);
    if (wildcard !== null) return subdomains(wildcard[1]!, wildcard[2]!.toLowerCase());
    const exact = pattern === "null" ? pattern : pattern.includes("*") ? undefined : parse(pattern)?.origin;
    const rule = "origins such as https://example.com or https://*.example.com";
    checkOptions(plugin).that(exact !== undefined, option, rule, pattern);
    return (origin: string) => origin === exact;
  });
  return (origin) => any || matchers.some((matches) => matches(origin));
}

/** The error for pages of other origins. */
export function originRefused(): PlugboardError {
  const message = "Pages of this origin may not connect; ALLOWED_ORIGINS lists those that may";
  return new PlugboardError("origin_not_allowed", message);
}

/** The part before the domain must be one or more labels. */
function subdomains(scheme: string, domain: string): (origin: string) => boolean {
  return (origin) =>
    origin.startsWith(scheme) && origin.endsWith(domain) &&
    /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(origin.slice(scheme.length, -domain.length));
}

/** Remembers the latest answer. */
function rememberLatest<T>(ask: (text: string) => T): (text: string) => T {
  let latest: { readonly text: string; readonly answer: T } | undefined;
  return (text) => {
    if (latest?.text !== text) latest = { text, answer: ask(text) };
    return latest.answer;
  };
}

function parse(origin: string): URL | undefined {
  const url = URL.parse(origin);
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}
