/**
 * The scripts of the presence store. A client is stored as `microseconds of the first put, user as JSON, body`, separated by
 * line breaks, which JSON has not.
 *
 * @module
 */

/** KEYS of all but `due`: clients, users, expiry. */
const REMOVE = `
local function remove(clients, users, client)
  local before = redis.call('HGET', clients, client)
  if not before then return end
  local since, user, body = string.match(before, '^(%d+)\\n([^\\n]*)\\n(.*)$')
  redis.call('HDEL', clients, client)
  if redis.call('HINCRBY', users, user, -1) < 1 then redis.call('HDEL', users, user) end
  return since, body
end
`;

/** The scripts. */
export const PRESENCE_SCRIPTS = {
  /** ARGV: channel, client, user, body, ttl. */
  put: `${REMOVE}
local now = redis.call('TIME')
local since = remove(KEYS[1], KEYS[2], ARGV[2]) or string.format('%d%06d', now[1], now[2])
redis.call('HSET', KEYS[1], ARGV[2], since .. '\\n' .. ARGV[3] .. '\\n' .. ARGV[4])
redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
local till = string.format('%.0f', now[1] * 1000 + ARGV[5])
redis.call('ZADD', KEYS[3], till, ARGV[1] .. '\\n' .. ARGV[2])
-- If no node is left to remove what expires.
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5] * 10) end
`,
  /** ARGV: channel, client. */
  remove: `${REMOVE}
remove(KEYS[1], KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[1] .. '\\n' .. ARGV[2])
`,
  /** KEYS: expiry. ARGV: maximum number. Returns `channel client` with a line break between them. */
  due: `
local now = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now[1] * 1000, 'LIMIT', 0, ARGV[1])
`,
  /** ARGV: channel, and clients. Removes those that have expired. Returns their bodies. */
  expire: `${REMOVE}
local now = redis.call('TIME')
local removed = {}
for i = 2, #ARGV do
  local member = ARGV[1] .. '\\n' .. ARGV[i]
  local till = redis.call('ZSCORE', KEYS[3], member)
  if till and tonumber(till) <= now[1] * 1000 then
    local _, body = remove(KEYS[1], KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[3], member)
    if body then removed[#removed + 1] = body end
  end
end
return removed
`,
} as const;
