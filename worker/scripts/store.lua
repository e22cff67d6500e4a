-- Stores a group of messages of one chat for one batch of its recipients: all
-- that are not stored yet, for all of the batch, or nothing.
--
-- KEYS[1]  leases of the nodes (zset: node -> end of its lease, ms)
-- KEYS[2] ...  marker of each message: which of its batches are stored
-- ARGV[1]  prefix of inbox keys       ARGV[2]  prefix of all other keys
-- ARGV[3]  the calling node           ARGV[4]  life of a marker, ms
-- ARGV[5]  life of an inbox, ms
-- ARGV[6]  most messages, ARGV[7] most bytes in an inbox (0: no limit)
-- ARGV[8]  number of this batch (from 1), ARGV[9] of how many
-- ARGV[10] how many recipients are JSON numbers: those come first
-- ARGV[11] ...  of each message: its id, the news before and the news after
--               the recipient; after that all recipients
--
-- Reply, one string:
--   "<stored> <number> <number> ..."  stored: a digit for each message, 1 when
--               it was stored now, 0 when it had been before; then the number
--               of the first that was stored now, for each recipient. The
--               others follow it without a gap.
--   "P<i> <n>"  an earlier attempt has split message i (from 1) into n
--               batches; nothing is stored
--   "F<user>"   the inbox of this user is full; nothing is stored
--
-- Keys of a recipient are made from its inbox key and are in its cluster slot.

local call = redis.call
local format, sub, find = string.format, string.sub, string.find

local inboxPrefix, prefix, node = ARGV[1], ARGV[2], ARGV[3]
local life = ARGV[5]
local maxMessages, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local batch, batches = tonumber(ARGV[8]), ARGV[9]
local numbers = tonumber(ARGV[10])
local messages = #KEYS - 1
local first = 11 + 3 * messages
local count = #ARGV - first + 1

-- Which messages are new here, by their position in the group.
local stored, bits, new = {}, {}, {}
local markers = call('MGET', unpack(KEYS, 2))
for k = 1, messages do
  local split, done = batches, nil
  if markers[k] then
    split, done = string.match(markers[k], '^(%d+):(%d+)$')
  end
  if done and not find(done, '0', 1, true) then
    stored[k] = '0'
  elseif split ~= batches then
    return 'P' .. k .. ' ' .. split
  elseif done and sub(done, batch, batch) == '1' then
    stored[k] = '0'
  else
    stored[k] = '1'
    bits[k] = done or string.rep('0', tonumber(batches))
    new[#new + 1] = k
  end
end
local size = #new
stored = table.concat(stored)
if size == 0 then return stored end

local time = call('TIME')
local micros = time[1] * 1000000 + time[2]

local boxes, counters = {}, {}
local counterPrefix = prefix .. 'seq:{' .. inboxPrefix
for i = 1, count do
  local user = ARGV[first + i - 1]
  boxes[i] = inboxPrefix .. user
  counters[i] = counterPrefix .. user .. '}'
end
-- By chance nobody may belong to this batch: only the markers are written.
local last = count > 0 and call('MGET', unpack(counters)) or {}

-- A counter that is missing starts at the time in microseconds, which is above
-- every number that was handed out before it went missing.
for i = 1, count do
  last[i] = last[i] and tonumber(last[i]) or micros - 1
end

-- A large limit is looked at when a number that 16 divides is handed out: what
-- is refused takes no number, so that a full inbox stays full, and exceeds its
-- limit by 15 messages at most.
if maxMessages > 0 or maxBytes > 0 then
  local step = (maxMessages == 0 or maxMessages > 1024) and 16 or 1
  local floor = math.floor
  for i = 1, count do
    if step == 1 or floor((last[i] + size) / 16) > floor(last[i] / 16) then
      local box = boxes[i]
      if (maxMessages > 0 and call('HLEN', box) + size > maxMessages) or
         (maxBytes > 0 and
          (call('MEMORY', 'USAGE', box) or 0) >= maxBytes) then
        return 'F' .. ARGV[first + i - 1]
      end
    end
  end
end

local escapes = {['"'] = '\\"', ['\\'] = '\\\\'}

local function quote(text)
  if find(text, '[%c"\\]') then
    text = string.gsub(text, '[%c"\\]', function(char)
      return escapes[char] or format('\\u%04x', string.byte(char))
    end)
  end
  return '"' .. text .. '"'
end

local fields, befores, afters = {}, {}, {}
for j = 1, size do
  local at = 8 + 3 * new[j]
  fields[j], befores[j], afters[j] = '-' .. ARGV[at], ARGV[at + 1], ARGV[at + 2]
end

local sequences, updates, entry = {}, {}, {}

-- The inboxes, then the counters of all.
local function fill()
  for i = 1, count do
    local user, box, number = ARGV[first + i - 1], boxes[i], last[i]
    if i > numbers then user = quote(user) end

    local text
    for j = 1, size do
      text = format('%d', number + j)
      entry[2 * j - 1] = text .. fields[j]
      entry[2 * j] = befores[j] .. user .. afters[j]
      if j == 1 then sequences[i] = text end
    end

    if size == 1 then
      call('HSET', box, entry[1], entry[2])
    else
      call('HSET', box, unpack(entry))
    end

    call('PEXPIRE', box, life)
    updates[2 * i - 1], updates[2 * i] = counters[i], text
  end

  call('MSET', unpack(updates))
end

-- The doorbells of other nodes, each with those recipients that it holds.
local function ring()
  local others
  for _, name in ipairs(call('ZRANGEBYSCORE', KEYS[1],
                             format('(%d', micros / 1000), '+inf')) do
    if name ~= node then
      others = others or {}
      others[name] = {}
    end
  end

  if not others then return end

  local presencePrefix = prefix .. 'presence:{' .. inboxPrefix
  for i = 1, count do
    local user = ARGV[first + i - 1]
    local holders = call('ZRANGE', presencePrefix .. user .. '}', 0, -1)
    for _, name in ipairs(holders) do
      local list = others[name]
      if list then
        list[#list + 1] = (i > numbers and 's' or 'n') .. #user .. ':' ..
                          user .. sequences[i]
      end
    end
  end

  for name, list in pairs(others) do
    if #list > 0 then
      local stream = prefix .. 'node:' .. name
      local doorbell = {'n', call('INCR', stream .. ':count')}
      for j = 1, size do
        for _, item in ipairs({'m', sub(fields[j], 2), 'b', befores[j],
                               'a', afters[j]}) do
          doorbell[#doorbell + 1] = item
        end
      end
      doorbell[#doorbell + 1] = 'r'
      doorbell[#doorbell + 1] = table.concat(list, ' ')
      call('XADD', stream, 'MAXLEN', '~', '10000', '*', unpack(doorbell))
    end
  end
end

-- Takes back what was done so far: the batch is stored as a whole or not at
-- all, whatever stands in the way (a key of another type, say). The counters
-- stay where they are: a number that is skipped costs a look into the inbox,
-- one that is handed out twice a message.
local function undo()
  for i = 1, #sequences do
    for j = 1, size do
      redis.pcall('HDEL', boxes[i], format('%d', last[i] + j) .. fields[j])
    end
  end
end

local good, problem = pcall(function()
  if count == 0 then return end
  fill()
  ring()
end)

if not good then
  undo()
  return type(problem) == 'table' and problem or redis.error_reply(problem)
end

for j = 1, size do
  local k = new[j]
  local done = sub(bits[k], 1, batch - 1) .. '1' .. sub(bits[k], batch + 1)
  call('SET', KEYS[k + 1], batches .. ':' .. done, 'PX', ARGV[4])
end

return stored .. ' ' .. table.concat(sequences, ' ')
