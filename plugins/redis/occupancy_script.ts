/**
 * The script of the occupancy. It is atomic: one node learns that a channel has its first subscriber, or lost its last one.
 *
 * KEYS: nodes with the time at which each is taken for dead, the number of nodes of each channel, the epoch, nodes that have
 * died, the channels of this node, its latest answer. ARGV: node, ttl, run of the server, whether its data continue, fresh token,
 * known token, whether the node has joined, number of the call, what is reported (`all`, or `vacated` while channels are restored),
 * channels of dead nodes to remove, whether the node leaves, what the keys of nodes' channels begin with, and the changes: `+channel` or `-channel`.
 * Returns the token, the state (`counted`; `lost`: the server lost its data; `dead`: the other nodes have removed this one), the
 * channels that are occupied now, and those that are vacated.
 *
 * @module
 */

/** See the module. */
export const OCCUPANCY_SCRIPT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch = redis.call('HMGET', KEYS[3], 'token', 'run')
local token = epoch[1]
if not token or epoch[2] ~= ARGV[3] and ARGV[4] == '0' then token = ARGV[5] end
if token ~= epoch[1] or epoch[2] ~= ARGV[3] then redis.call('HSET', KEYS[3], 'token', token, 'run', ARGV[3]) end
if ARGV[6] ~= '' and ARGV[6] ~= token then return { token, 'lost', {}, {} } end
-- A call is repeated when its answer was lost.
local last = redis.call('HMGET', KEYS[6], 'call', 'answer')
if last[1] == ARGV[8] then return cjson.decode(last[2]) end
if ARGV[7] == '1' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return { token, 'dead', {}, {} } end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])

local occupied, vacated = {}, {}
local function remove(channel)
  if redis.call('HINCRBY', KEYS[2], channel, -1) > 0 then return end
  redis.call('HDEL', KEYS[2], channel)
  vacated[#vacated + 1] = channel
end
for i = 13, #ARGV do
  local channel = string.sub(ARGV[i], 2)
  if string.sub(ARGV[i], 1, 1) == '-' then
    if redis.call('SREM', KEYS[5], channel) == 1 then remove(channel) end
  elseif redis.call('SADD', KEYS[5], channel) == 1 and redis.call('HINCRBY', KEYS[2], channel, 1) == 1 then
    if ARGV[9] == 'all' then occupied[#occupied + 1] = channel end
  end
end

if ARGV[10] ~= '0' then
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 10)) do
    redis.call('ZREM', KEYS[1], node)
    redis.call('SADD', KEYS[4], node)
  end
  local node = redis.call('SRANDMEMBER', KEYS[4])
  if node then
    local channels = ARGV[12] .. node
    for _, channel in ipairs(redis.call('SPOP', channels, ARGV[10])) do remove(channel) end
    if redis.call('EXISTS', channels) == 0 then redis.call('SREM', KEYS[4], node) end
  end
end
if ARGV[11] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  if redis.call('EXISTS', KEYS[5]) == 1 then redis.call('SADD', KEYS[4], ARGV[1]) end
end
local answer = { token, 'counted', occupied, vacated }
if #occupied + #vacated > 0 then
  redis.call('HSET', KEYS[6], 'call', ARGV[8], 'answer', cjson.encode(answer))
  redis.call('PEXPIRE', KEYS[6], 600000)
end
return answer
`;
