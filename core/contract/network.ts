/**
 * Networks of clients, for limits by address.
 *
 * @module
 */

/**
 * Returns the name under which an address counts in limits: a client with an IPv6 address has a whole /64 network.
 *
 * ```ts
 * import { networkOf } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(networkOf("203.0.113.7"), "203.0.113.7");
 * assert.equal(networkOf("2001:db8::7"), "2001:db8:0:0::/64");
 * ```
 */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip;
  // The URL parser validates and normalizes the address: at most one run of zeros is written as "::".
  const address = URL.parse(`http://[${ip.split("%")[0]}]`)?.hostname.slice(1, -1);
  if (address === undefined) return ip;
  const [left = [], right = []] = address.split("::").map((half) => half.split(":").filter(Boolean));
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  if (!/^0:0:0:0:0:ffff:/.test(groups.join(":"))) return `${groups.slice(0, 4).join(":")}::/64`;
  return groups.slice(6).flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]).join(".");
}
