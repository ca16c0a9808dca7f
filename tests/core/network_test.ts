import assert from "node:assert/strict";
import { networkOf } from "../../core/mod.ts";

Deno.test("an IPv6 client counts with its /64, an IPv4 client with its address", () => {
  assert.equal(networkOf("203.0.113.7"), "203.0.113.7");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:2:ffff::1"));
  assert.notEqual(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"));
  assert.equal(networkOf("2001:DB8::1"), "2001:db8:0:0::/64");
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(networkOf("::ffff:203.0.113.7"), "203.0.113.7");
  for (const other of ["unknown", "a:b", "::g"]) assert.equal(networkOf(other), other);
});
