/**
 * The scripts that run in Redis. Each is atomic.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { PRESENCE_SCRIPTS } from "./presence_scripts.ts";

/** Returns the time: that of Redis, which all nodes share, or that of a test's clock. */
const TIME = `
local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`;

/**
 * Reads what is stored about a history: base, run, earlier runs, top. A history that is continued in another run of the
 * server is changed accordingly. `create` stores it too.
 */
const LINEAGE = `
local function lineage(meta, epochKey, run, continues, fresh, ttl, create)
  local m = redis.call('HMGET', meta, 'base', 'run', 'earlier', 'top', 'till')
  if not m[1] then
    local known = redis.call('HMGET', epochKey, 'base', 'run')
    local base = known[1]
    if not base or known[2] ~= run and continues == '0' then base = fresh end
    if known[1] ~= base or known[2] ~= run then
      redis.call('HSET', epochKey, 'base', base, 'run', run)
      -- Shorter than the life of a history: one that is forgotten and begins again has another epoch.
      if known[1] ~= base then redis.call('PEXPIRE', epochKey, math.floor(ttl / 2)) end
    end
    m = { base, run, '', '0' }
    if create then redis.call('HSET', meta, 'base', base, 'run', run, 'earlier', '', 'top', 0) end
  elseif m[2] ~= run then
    if continues == '1' then
      m[3] = (m[3] == '' and '' or m[3] .. ',') .. m[2] .. ':' .. m[4]
      if #m[3] > 500 then m[3] = string.match(m[3], ',(.*)') end
    else
      m[1], m[3] = fresh, ''
    end
    m[2] = run
    redis.call('HSET', meta, 'base', m[1], 'run', run, 'earlier', m[3])
  end
  return m
end
`;

/**
 * KEYS: meta, stream, epoch, idempotency key. ARGV: time, run, continues, fresh epoch, forget after, Redis channel, id of the
 * publish, body, size, age, version, version's epoch, ttl of the key.
 */
const PUBLISH = `${TIME}${LINEAGE}
local now = time(ARGV[1])
local keyTtl = ARGV[13]
if keyTtl ~= '' then
  local first = redis.call('GET', KEYS[4])
  if first then
    local till, offset, epoch = string.match(first, '^(%S+) (%S+) (.*)$')
    if tonumber(till) > now then return { offset, epoch, 'idempotency' } end
  end
end
local function done(offset, epoch, why)
  if keyTtl ~= '' then
    redis.call('SET', KEYS[4], now + keyTtl .. ' ' .. offset .. ' ' .. epoch, 'PX', keyTtl)
  end
  return { offset, epoch, why }
end
local offset, epoch = '0', ''
if ARGV[9] ~= '' then
  local ttl = ARGV[5] + ARGV[10]
  local m = lineage(KEYS[1], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ttl, true)
  epoch = m[1] .. '.' .. m[2]
  if ARGV[11] ~= '' then
    local v = redis.call('HMGET', KEYS[1], 'version', 'version_epoch')
    if v[2] == ARGV[12] and tonumber(v[1]) >= tonumber(ARGV[11]) then return done(m[4], epoch, 'version') end
    redis.call('HSET', KEYS[1], 'version', ARGV[11], 'version_epoch', ARGV[12])
  end
  if m[4] == '0' then redis.call('DEL', KEYS[2]) end
  offset = tostring(redis.call('HINCRBY', KEYS[1], 'top', 1))
  -- Not each time: a tenth of a month is exact enough.
  if not m[5] or tonumber(m[5]) < now + 0.9 * ttl then
    redis.call('HSET', KEYS[1], 'till', now + ttl)
    redis.call('PEXPIRE', KEYS[1], ttl)
  end
  -- An exact length would take as long as all else.
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[9], offset .. '-0', 't', now, 'b', ARGV[8])
  redis.call('PEXPIRE', KEYS[2], ARGV[10])
end
redis.call('PUBLISH', ARGV[6], ARGV[7] .. ' ' .. offset .. ' ' .. now .. ' ' .. epoch .. '\\n' .. ARGV[8])
return done(offset, epoch, '')
`;

/**
 * KEYS: meta, stream, epoch. ARGV: time, run, continues, fresh epoch, forget after, age, size, after, before, reverse, limit.
 * Removes what is too old first, so that the limit counts only what is read.
 */
const HISTORY = `${TIME}${LINEAGE}
local m = lineage(KEYS[1], KEYS[3], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), false)
if ARGV[11] == '0' then return { m[1], m[2], m[3], m[4], {} } end
local oldest = time(ARGV[1]) - ARGV[6]
while true do
  local some = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 50)
  local keep
  for _, each in ipairs(some) do
    if tonumber(each[2][2]) > oldest then keep = each[1] break end
  end
  if #some == 0 or some[1][1] == keep then break end
  redis.call('XTRIM', KEYS[2], 'MINID', keep or (string.match(some[#some][1], '^%d+') .. '-1'))
end
-- The stream may be longer than the history.
local first = math.max(ARGV[8] + 1, m[4] - ARGV[7] + 1) .. ''
local last = ARGV[9] == '' and '+' or tostring(ARGV[9] - 1)
local command = ARGV[10] == '1' and { 'XREVRANGE', KEYS[2], last, first } or { 'XRANGE', KEYS[2], first, last }
if ARGV[11] ~= '' then command[5] = 'COUNT' command[6] = ARGV[11] end
return { m[1], m[2], m[3], m[4], redis.call(unpack(command)) }
`;

/** KEYS: nodes. ARGV: Redis channel, question. Publishes it, and returns the nodes that should answer. */
const ASK = `
local t = redis.call('TIME')
redis.call('PUBLISH', ARGV[1], ARGV[2])
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. t[1], '+inf')
`;

/** See {@linkcode SCRIPTS}. */
function script(text: string): { readonly text: string; readonly sha: string } {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** All scripts, with the names that Redis gives them. */
export const SCRIPTS = {
  publish: script(PUBLISH),
  history: script(HISTORY),
  put: script(PRESENCE_SCRIPTS.put),
  remove: script(PRESENCE_SCRIPTS.remove),
  expire: script(PRESENCE_SCRIPTS.expire),
  ask: script(ASK),
};
