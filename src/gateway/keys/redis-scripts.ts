/**
 * What runs inside Redis, each script as one step that no other gateway sees the middle of.
 *
 * All keys of a fleet begin with `cortex:{<fleet>}:`, which puts them on one node of a cluster:
 * `key:<id>`      hash: `total`, every token ever spent; `<start>:<width>`, those of a slice of time, in milliseconds
 * `begun:<id>`    the requests of the last minute, where they are limited
 * `open:<id>`     reservations under way, by meter id
 * `under:<gw>`    what a gateway's requests under way have cost so far, by meter id
 * `gateways`      when each gateway was heard of last, by Redis's own clock
 * `taken:<meter>` what was charged for a request whose gateway had gone
 * `hours`, `usage:<hour>`  what `cortex usage` shows
 */

/** Adds a batch of usage rows and slices; shared by the scripts below it. */
const ADD = `
local function add(prefix, rows, spent, retention, now)
  for _, row in ipairs(rows) do
    local hour = string.format('%.0f', row.hour)
    redis.call('ZADD', prefix .. 'hours', hour, hour)
    for name, count in pairs(row.counts) do
      if count ~= 0 then
        redis.call('HINCRBY', prefix .. 'usage:' .. hour, cjson.encode({row.key, row.model, name}), count)
      end
    end
  end
  for _, slice in ipairs(spent) do
    local account = prefix .. 'key:' .. slice.key
    redis.call('HINCRBY', account, 'total', slice.tokens)
    local field = string.format('%.0f:%.0f', slice.start, slice.width)
    -- With each new slice, those that have left every window go.
    if redis.call('HINCRBY', account, field, slice.tokens) == slice.tokens then
      for _, old in ipairs(redis.call('HKEYS', account)) do
        local start, width = string.match(old, '^(%d+):(%d+)$')
        if start and tonumber(start) + 2 * tonumber(width) + retention < now then redis.call('HDEL', account, old) end
      end
    end
  end
end
`;

/**
 * KEYS: account, begun, open, under. ARGV: meter id (empty: only look), tokens, now, limits (requests a minute, parallel,
 * cap, window; -1 for none), entry of the request under way. Answers 1 or 0, and the account as it was seen.
 */
export const OPEN_SCRIPT = `
local meter, tokens, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rpm, parallel, cap, window = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60000)
local begun = redis.call('ZCARD', KEYS[2])
local open = redis.call('HVALS', KEYS[3])
local reserved = 0
for _, held in ipairs(open) do reserved = reserved + tonumber(held) end
local spent, slices = 0, {}
if window < 0 then
  spent = tonumber(redis.call('HGET', KEYS[1], 'total') or '0')
else
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local start, width = string.match(fields[i], '^(%d+):(%d+)$')
    if start and tonumber(start) + tonumber(width) + window > now then
      spent = spent + tonumber(fields[i + 1])
      slices[#slices + 1] = fields[i] .. ':' .. fields[i + 1]
    end
  end
end
local over = (rpm >= 0 and begun >= rpm) or (parallel >= 0 and #open >= parallel) or (cap >= 0 and spent + reserved + tokens > cap)
local granted = 0
if meter ~= '' and not over then
  granted = 1
  redis.call('HSET', KEYS[3], meter, tokens)
  redis.call('HSET', KEYS[4], meter, ARGV[8])
  if rpm >= 0 then
    redis.call('ZADD', KEYS[2], now, meter)
    redis.call('PEXPIRE', KEYS[2], 60000)
  end
end
local times = {}
if granted == 0 then
  for i, value in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')) do
    if i % 2 == 0 then times[#times + 1] = value end
  end
end
return {granted, spent, reserved, #open, times, slices}
`;

/**
 * KEYS: the batch's own, under. ARGV: prefix, batch as JSON, now, retention. A batch whose answer was lost is sent again:
 * it counts once. Answers the tokens that were given back.
 */
export const CHARGE_SCRIPT = `${ADD}
local prefix, now, retention = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', 3600000) then return 0 end
local batch = cjson.decode(ARGV[2])
local givenBack = 0
for _, ended in ipairs(batch.ended) do
  redis.call('HDEL', prefix .. 'open:' .. ended.key, ended.meter)
  redis.call('HDEL', KEYS[2], ended.meter)
  local taken = redis.call('GET', prefix .. 'taken:' .. ended.meter)
  if taken then
    local back = cjson.decode(taken)
    for name, count in pairs(back.row.counts) do back.row.counts[name] = -count end
    back.slice.tokens = -back.slice.tokens
    add(prefix, {back.row}, {back.slice}, retention, now)
    redis.call('DEL', prefix .. 'taken:' .. ended.meter)
    givenBack = givenBack - back.slice.tokens
  end
end
add(prefix, batch.rows, batch.spent, retention, now)
return givenBack
`;

/**
 * KEYS: gateways, under. ARGV: prefix, gateway, entries as JSON, now, retention, lease, hour. Says that this gateway
 * lives and what its requests have cost so far, and charges those of gateways that have not said so for a lease.
 * Answers how many were charged.
 */
export const TELL_SCRIPT = `${ADD}
local prefix, gateway, now, retention = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], clock, gateway)
for meter, entry in pairs(cjson.decode(ARGV[3])) do redis.call('HSET', KEYS[2], meter, cjson.encode(entry)) end
local charged = 0
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', clock - tonumber(ARGV[6]))) do
  local fields = redis.call('HGETALL', prefix .. 'under:' .. gone)
  for i = 1, #fields, 2 do
    local meter, entry = fields[i], cjson.decode(fields[i + 1])
    redis.call('HDEL', prefix .. 'open:' .. entry.key, meter)
    -- Let in and not on its way to a model yet: it costs nothing.
    if entry.model ~= '' then
      local row = {hour = tonumber(ARGV[7]), key = entry.key, model = entry.model,
        counts = {requests = 1, cut = 1, prompt = entry.prompt, completion = entry.completion}}
      local slice = {key = entry.key, start = now - now % entry.width, width = entry.width,
        tokens = entry.prompt + entry.completion}
      add(prefix, {row}, {slice}, retention, now)
      redis.call('SET', prefix .. 'taken:' .. meter, cjson.encode({row = row, slice = slice}), 'PX', 86400000)
      charged = charged + 1
    end
  end
  redis.call('DEL', prefix .. 'under:' .. gone)
  redis.call('ZREM', KEYS[1], gone)
end
return charged
`;

/** KEYS: gateways, under. ARGV: gateway. A gateway that ends in good order. */
export const LEAVE_SCRIPT = `
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HLEN', KEYS[2]) == 0 then redis.call('DEL', KEYS[2]) end
return 1
`;
