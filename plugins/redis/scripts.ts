/**
 * The scripts that run in Redis. Each is atomic, and declares the keys that it uses: compatible servers may require it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { LEASE_SCRIPTS } from "./leases.ts";
import { OCCUPANCY_SCRIPT } from "./occupancy_script.ts";
import { REPLICA_SCRIPTS } from "./replicas.ts";
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
 * Publishes one after the other; one that fails does not prevent the others. KEYS: epoch, then for each publication its meta, its
 * stream if it has a history, and its idempotency key if it has one. ARGV: time, run, continues, fresh epoch, forget after, prefix
 * of keys, then for each publication: body, and `id size age`, rarely followed by ` version ttl epoch-of-the-version`.
 * Returns `offset epoch why` for each publication.
 */
const PUBLISH = `${TIME}${LINEAGE}
local now = time(ARGV[1])
local prefix = ARGV[6]
local used = 1
local function take()
  used = used + 1
  return KEYS[used]
end
local function publish(body, options)
  local meta = take()
  local id, size, age, rare = string.match(options, '^(%S+) (%S*) (%S*)(.*)$')
  local stream = size ~= '' and take()
  local version, keyTtl, versionEpoch, key = '', '', '', ''
  if rare ~= '' then
    version, keyTtl, versionEpoch = string.match(rare, '^ (%S*) (%S*) (.*)$')
    if keyTtl ~= '' then key = take() end
  end
  if keyTtl ~= '' then
    local first = redis.call('GET', key)
    if first then
      local till, offset, epoch = string.match(first, '^(%S+) (%S+) (.*)$')
      if tonumber(till) > now then return offset, epoch, 'idempotency' end
    end
  end
  local offset, epoch, why = '0', '', ''
  if size ~= '' then
    local ttl = ARGV[5] + age
    local m = lineage(meta, KEYS[1], ARGV[2], ARGV[3], ARGV[4], ttl, true)
    epoch = m[1] .. '.' .. m[2]
    if version ~= '' then
      local v = redis.call('HMGET', meta, 'version', 'version_epoch')
      if v[2] == versionEpoch and tonumber(v[1]) >= tonumber(version) then offset, why = m[4], 'version' end
    end
    if why == '' then
      if m[4] == '0' then redis.call('DEL', stream) end
      offset = string.format('%.0f', m[4] + 1)
      -- First, so that nothing is counted if it fails. An exact length would take as long as all else.
      redis.call('XADD', stream, 'MAXLEN', '~', size, offset .. '-0', 't', now, 'b', body)
      redis.call('HSET', meta, 'top', offset)
      if version ~= '' then redis.call('HSET', meta, 'version', version, 'version_epoch', versionEpoch) end
      -- Not each time: a tenth of a month is exact enough.
      if not m[5] or tonumber(m[5]) < now + 0.9 * ttl then
        redis.call('HSET', meta, 'till', now + ttl)
        redis.call('PEXPIRE', meta, ttl)
      end
      redis.call('PEXPIRE', stream, age)
    end
  end
  if why == '' then
    redis.call('SPUBLISH', prefix .. 'channel:' .. string.sub(meta, #prefix + 6), id .. ' ' .. offset .. ' ' .. now .. ' ' .. epoch .. '\\n' .. body)
  end
  if keyTtl ~= '' then
    redis.call('SET', key, now + keyTtl .. ' ' .. offset .. ' ' .. epoch, 'PX', keyTtl)
  end
  return offset, epoch, why
end
local answer = {}
for i = 7, #ARGV, 2 do
  local done, offset, epoch, why = pcall(publish, ARGV[i], ARGV[i + 1])
  if not done then
    local err = type(offset) == 'table' and offset.err or offset
    -- As an error of the whole call: the connection is replaced, since the server is not the primary any more.
    if string.find(err, '^READONLY') then return { err = err } end
    why = 'error ' .. err
  end
  answer[#answer + 1] = (done and offset or '0') .. ' ' .. (epoch or '') .. ' ' .. why
end
return answer
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
  local some = redis.call('XRANGE', KEYS[2], '-', m[4], 'COUNT', 50)
  local keep
  for _, each in ipairs(some) do
    if tonumber(each[2][2]) > oldest then keep = each[1] break end
  end
  if #some == 0 or some[1][1] == keep then break end
  redis.call('XTRIM', KEYS[2], 'MINID', keep or (string.match(some[#some][1], '^%d+') .. '-1'))
end
-- The stream may be longer than the history.
local first = math.max(ARGV[8] + 1, m[4] - ARGV[7] + 1) .. ''
-- What is beyond the top is not of a publication.
local last = ARGV[9] == '' and m[4] or math.min(ARGV[9] - 1, m[4]) .. ''
local command = ARGV[10] == '1' and { 'XREVRANGE', KEYS[2], last, first } or { 'XRANGE', KEYS[2], first, last }
if ARGV[11] ~= '' then command[5] = 'COUNT' command[6] = ARGV[11] end
return { m[1], m[2], m[3], m[4], redis.call(unpack(command)) }
`;

/** KEYS: nodes. ARGV: Redis channel, question. Publishes it, and returns the nodes that should answer. */
const ASK = `
local t = redis.call('TIME')
redis.call('SPUBLISH', ARGV[1], ARGV[2])
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. t[1], '+inf')
`;

/** A script, with its name in Redis. */
export function script(text: string): { readonly text: string; readonly sha: string } {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** All scripts, with the names that Redis gives them. */
export const SCRIPTS = {
  publish: script(PUBLISH),
  history: script(HISTORY),
  put: script(PRESENCE_SCRIPTS.put),
  remove: script(PRESENCE_SCRIPTS.remove),
  due: script(PRESENCE_SCRIPTS.due),
  expire: script(PRESENCE_SCRIPTS.expire),
  ask: script(ASK),
  claim: script(LEASE_SCRIPTS.claim),
  release: script(LEASE_SCRIPTS.release),
  keep: script(REPLICA_SCRIPTS.keep),
  forget: script(REPLICA_SCRIPTS.forget),
  values: script(REPLICA_SCRIPTS.values),
  occupancy: script(OCCUPANCY_SCRIPT),
};
