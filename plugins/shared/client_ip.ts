import ipaddr from "ipaddr.js";
import { checkOptions } from "../../core/mod.ts";

/** Options of {@linkcode clientIpFrom}. */
export interface ClientIpOptions {
  /** Addresses and networks of trusted proxies: `10.0.0.0/8`, `::1`, `loopback`, `private`. */
  trusted: readonly string[];
  /**
   * The header that they write. Only one is used: clients could forge the others.
   * @default {"x-forwarded-for"}
   */
  header?: "x-forwarded-for" | "forwarded";
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Networks by name. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1/128"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"],
};

/** A longer chain of proxies is forged. */
const MAX_HOPS = 32;

/**
 * Makes the server's `clientIp`. It reads the header from the right, skips trusted proxies, and takes the first other
 * address as the client. Addresses to the left of it are ignored.
 *
 * ```ts ignore
 * new Server({ clientIp: clientIpFrom({ trusted: ["10.0.0.0/8"] }) });
 * ```
 */
export function clientIpFrom(options: ClientIpOptions): (request: Request, peer: string) => string {
  const { trusted, header = "x-forwarded-for" } = options;
  checkOptions("the server").oneOf("header", header, ["x-forwarded-for", "forwarded"]);
  const networks = trusted.flatMap((text) => NAMED[text] ?? [text]).map(network);
  const isTrusted = (address: Address | undefined) =>
    address !== undefined &&
    networks.some(([base, length]) => address.kind() === base.kind() && address.match(base, length));

  return (request, peer) => {
    // First, since most requests that come directly lack it, and parsing an address takes microseconds.
    const value = request.headers.get(header);
    if (value === null || !isTrusted(parse(peer))) return peer;
    const hops = header === "forwarded" ? forwardedFor(value) : value.split(",");
    let client = peer;
    for (const hop of hops.reverse().slice(0, MAX_HOPS)) {
      const address = parse(withoutPort(hop.trim()));
      if (address === undefined) break; // not an address: the rest is not trustworthy
      client = address.toString();
      if (!isTrusted(address)) break;
    }
    return client;
  };
}

/** Whether a hostname or an address is this machine's. */
export function isLoopback(host: string): boolean {
  if (host === "127.0.0.1" || host === "::1") return true; // the usual case; parsing takes microseconds
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return parse(name)?.range() === "loopback";
}

/**
 * Whether a request comes from this machine. A local proxy that forwards requests of other machines usually names their
 * sender in a header. A client whose address is unknown may be anywhere.
 */
export function isLocal({ headers, ip }: { readonly headers: Headers; readonly ip: string }): boolean {
  if (!isLoopback(ip)) return false;
  const [listed, forwarded] = [headers.get("x-forwarded-for"), headers.get("forwarded")];
  if (listed === null && forwarded === null) return true;
  const senders = [
    ...(listed === null ? [] : listed.split(",")),
    ...(forwarded === null ? [] : forwardedFor(forwarded)),
  ];
  return senders.every((hop) => isLoopback(withoutPort(hop.trim())));
}

function network(text: string): readonly [Address, number] {
  const [ip = "", bits] = text.split("/");
  const address = parse(ip);
  const most = address?.kind() === "ipv4" ? 32 : 128;
  const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
  checkOptions("the server").that(
    address !== undefined && length <= most,
    "trusted",
    "addresses and networks such as 10.0.0.0/8, or loopback, or private",
    text,
  );
  return [address!, length];
}

/** Parses an address; an IPv4-mapped IPv6 address becomes IPv4. */
function parse(ip: string): Address | undefined {
  const text = ip.split("%")[0]!;
  const written = ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
  return written ? ipaddr.process(text) : undefined;
}

/** Removes the port of `1.2.3.4:80` and `[::1]:80`. */
function withoutPort(hop: string): string {
  const bracketed = hop.match(/^\[([^\]]*)\](?::\d+)?$/);
  if (bracketed !== null) return bracketed[1]!;
  return hop.indexOf(":") === hop.lastIndexOf(":") ? hop.split(":")[0]! : hop;
}

/** Returns the `for` of each element of a `Forwarded` header (RFC 7239). */
function forwardedFor(value: string): string[] {
  return value.split(",").map((element) => {
    const pair = element.split(";").map((each) => each.trim()).find((each) => /^for=/i.test(each));
    return pair === undefined ? "" : pair.slice(4).replace(/^"|"$/g, "");
  });
}
