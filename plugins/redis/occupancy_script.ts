/**
 * The script of the occupancy. It is atomic: one node learns that a channel has its first subscriber, or lost its last one.
 * That node confirms its reports with its next call. Until then, others leave the channel to it, so that the reports of a
 * channel have one order, also when an answer is lost.
 *
 * KEYS: nodes with the time at which each is taken for dead, the number of nodes of each channel, the epoch, nodes that have
 * died, channels with the node that reports about them, the latest reports of each node, the channels of this node, those of the
 * dead one. ARGV: node, ttl, run of the server, whether its data continue, fresh token, known token, whether the node has joined,
 * number of the call, what is reported (`all`, or `vacated` while channels are restored), whether to look for dead nodes, whether the
 * node leaves, the dead node whose channels are removed, how many of them, and the changes: `+channel` or `-channel`.
 * Returns the token, the state (`counted`; `lost`: the server lost its data; `dead`: the other nodes have removed this one), what
 * is reported, as changes, and a dead node.
 *
 * @module
 */

/** See the module. */
export const OCCUPANCY_SCRIPT = `
local nodes, counts, epochKey, deadNodes, reporters, latest, own, others = unpack(KEYS)
local node, ttl, run, continues, fresh, known, joined, call, what, looks, leaves, dead, most = unpack(ARGV)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch = redis.call('HMGET', epochKey, 'token', 'run')
local token = epoch[1]
if not token or epoch[2] ~= run and continues == '0' then token = fresh end
if token ~= epoch[1] or epoch[2] ~= run then redis.call('HSET', epochKey, 'token', token, 'run', run) end
if known ~= '' and known ~= token then return { token, 'lost', {}, '' } end
if redis.call('SISMEMBER', deadNodes, node) == 1 or joined == '1' and not redis.call('ZSCORE', nodes, node) then
  return { token, 'dead', {}, '' }
end
local function reportsOf(which)
  local stored = redis.call('HGET', latest, which)
  return stored and cjson.decode(stored)
end
-- A call is repeated when its answer was lost.
local last = reportsOf(node)
if last and last.call == call then return { token, 'counted', last.reports, '' } end
redis.call('ZADD', nodes, now + ttl, node)

local reports = {}
local function report(change)
  local channel = string.sub(change, 2)
  local reporter = redis.call('HGET', reporters, channel)
  -- Another one reports it when it has confirmed its report before, unless it is forgotten.
  local isKnown = reporter and (redis.call('ZSCORE', nodes, reporter) or redis.call('SISMEMBER', deadNodes, reporter) == 1)
  if isKnown and reporter ~= node then return end
  redis.call('HSET', reporters, channel, node)
  reports[#reports + 1] = change
end
if last then
  local told = {}
  for _, change in ipairs(last.reports) do told[string.sub(change, 2)] = string.sub(change, 1, 1) end
  for channel, sign in pairs(told) do
    redis.call('HDEL', reporters, channel)
    local actual = redis.call('HEXISTS', counts, channel) == 1 and '+' or '-'
    if actual ~= sign then report(actual .. channel) end
  end
end

local function remove(channel)
  if redis.call('HINCRBY', counts, channel, -1) > 0 then return end
  redis.call('HDEL', counts, channel)
  report('-' .. channel)
end
for i = 14, #ARGV do
  local channel = string.sub(ARGV[i], 2)
  if string.sub(ARGV[i], 1, 1) == '-' then
    if redis.call('SREM', own, channel) == 1 then remove(channel) end
  elseif redis.call('SADD', own, channel) == 1 and redis.call('HINCRBY', counts, channel, 1) == 1 then
    if what == 'all' then report(ARGV[i]) end
  end
end

if dead ~= '' then
  -- It may have reported them. Twice is better than never.
  local unconfirmed = reportsOf(dead)
  if unconfirmed then
    redis.call('HDEL', latest, dead)
    for _, change in ipairs(unconfirmed.reports) do
      redis.call('HDEL', reporters, string.sub(change, 2))
      report(change)
    end
  end
  for _, channel in ipairs(redis.call('SPOP', others, most)) do remove(channel) end
  if redis.call('EXISTS', others) == 0 then redis.call('SREM', deadNodes, dead) end
end
local another = false
if looks == '1' then
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', now, 'LIMIT', 0, 10)) do
    redis.call('ZREM', nodes, each)
    redis.call('SADD', deadNodes, each)
  end
  another = redis.call('SRANDMEMBER', deadNodes)
end

if #reports > 0 then redis.call('HSET', latest, node, cjson.encode({ call = call, reports = reports }))
elseif last then redis.call('HDEL', latest, node) end
if leaves == '1' then
  redis.call('ZREM', nodes, node)
  -- Another node reports the rest.
  if #reports > 0 or redis.call('EXISTS', own) == 1 then redis.call('SADD', deadNodes, node) end
  reports = {}
end
return { token, 'counted', reports, another or '' }
`;
