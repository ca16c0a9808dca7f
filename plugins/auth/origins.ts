/**
 * Origins: which pages' scripts may talk to this server from a browser.
 *
 * A browser says with each upgrade where the page came from, and no page can forge that. Without this check any
 * page a user visits could open a connection in their name, or reach a server on their own machine.
 *
 * @module
 */

import { checkOptions } from "../../core/mod.ts";
import { isLoopback } from "../shared/client_ip.ts";

/** What the check needs to know of the server. */
export interface OriginOptions {
  /** `https://app.example.com`, `https://*.example.com`, `null`, or `*` for any. */
  readonly allowed: readonly string[];
  /** The server listens beyond this machine. */
  readonly exposed: boolean;
  /** Nobody has to sign in. */
  readonly open: boolean;
}

/** Who may talk to this server, by a request's headers. */
export interface OriginCheck {
  /** Whether the page that sent it may. */
  allowsOrigin(headers: Headers): boolean;
  /** Whether it was meant for this server: a page that reads from its own name sends no `Origin`. */
  allowsHost(headers: Headers): boolean;
  /** Both: whether the request may come in. */
  admits(headers: Headers): boolean;
}

/**
 * Makes the check.
 *
 * Always allowed are the listed origins and requests without one, which no page's script made. On loopback, pages
 * of this machine are allowed too. Pages of the server's own name are allowed where sign-in protects it; on an open
 * server they are not, because a page can give its own name the address 127.0.0.1 (DNS rebinding).
 */
export function originCheck({ allowed, exposed, open }: OriginOptions): OriginCheck {
  const any = allowed.includes("*");
  const patterns = allowed.filter((pattern) => pattern !== "*").map(prepare);
  const listed = (origin: string) => patterns.some((matches) => matches(origin));
  const check = {
    allowsOrigin(headers: Headers) {
      const origin = headers.get("origin");
      if (origin === null || any || listed(origin)) return true;
      const url = parse(origin);
      if (url === undefined) return false;
      if (!exposed && isLoopback(url.hostname)) return true;
      return !open && url.host === hostOf(url.protocol, headers.get("host"))?.host;
    },
    allowsHost(headers: Headers) {
      const host = headers.get("host");
      if (!open || any || host === null || isLoopback(hostOf("http:", host)?.hostname ?? "")) return true;
      return listed(`http://${host}`) || listed(`https://${host}`); // such a page may do the same by its origin
    },
  };
  return { ...check, admits: (headers) => check.allowsOrigin(headers) && check.allowsHost(headers) };
}

function prepare(pattern: string): (origin: string) => boolean {
  const wildcard = pattern.match(/^(https?:\/\/)\*(\.[^*/]+)$/);
  if (wildcard !== null) {
    const [, scheme = "", suffix = ""] = wildcard;
    const domain = suffix.toLowerCase();
    // The label before the suffix must not be empty, nor reach beyond the host.
    return (origin) =>
      origin.startsWith(scheme) && origin.endsWith(domain) &&
      /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(origin.slice(scheme.length, -domain.length));
  }
  const exact = pattern === "null" ? pattern : pattern.includes("*") ? undefined : parse(pattern)?.origin;
  checkOptions("auth").that(
    exact !== undefined,
    "origins",
    "origins such as https://example.com or https://*.example.com",
    pattern,
  );
  return (origin) => origin === exact;
}

function parse(origin: string): URL | undefined {
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}

/** The server's name as the request has it, without the port that the scheme implies anyway. */
function hostOf(protocol: string, host: string | null): URL | undefined {
  return host === null ? undefined : parse(`${protocol}//${host}`);
}
