-- Stores one message for one batch of its recipients: all of them or none.
--
-- KEYS[1]  marker of the message: which of its batches are stored
-- KEYS[2]  leases of the nodes (zset: node -> end of its lease, ms)
-- ARGV[1]  prefix of inbox keys       ARGV[2]  prefix of all other keys
-- ARGV[3]  the calling node           ARGV[4]  life of the marker, ms
-- ARGV[5]  life of an inbox, ms
-- ARGV[6]  most messages, ARGV[7] most bytes in an inbox (0: no limit)
-- ARGV[8]  number of this batch (from 1), ARGV[9] of how many
-- ARGV[10] message id, ARGV[11] news before and ARGV[12] after the recipient
-- ARGV[13] how many recipients are JSON numbers: those come first
-- ARGV[14] ... recipients
--
-- Reply, one string:
--   "<sequence> <sequence> ..."  stored, in the order of the recipients
--   "D"        this batch was stored before
--   "P<n>"     an earlier attempt has split the message into n batches
--   "F<user>"  the inbox of this user is full; nothing is stored
--
-- Keys of a recipient are made from its inbox key and are in its cluster slot.

local call = redis.call
local format, sub, find = string.format, string.sub, string.find

local inboxPrefix, prefix, node = ARGV[1], ARGV[2], ARGV[3]
local maxMessages, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local batch, batches = tonumber(ARGV[8]), ARGV[9]
local numbers = tonumber(ARGV[13])
local first = 14
local count = #ARGV - first + 1

local done = call('GET', KEYS[1])
if done then
  local split, bits = string.match(done, '^(%d+):(%d+)$')
  if not find(bits, '0', 1, true) then return 'D' end
  if split ~= batches then return 'P' .. split end
  if sub(bits, batch, batch) == '1' then return 'D' end
  done = bits
else
  done = string.rep('0', tonumber(batches))
end

local time = call('TIME')
local micros = time[1] * 1000000 + time[2]

-- A large limit is looked at for each 16th number of a user: what is refused
-- takes no number, so that a full inbox stays full, and exceeds its limit by
-- 15 messages at most.
local step = 0
if maxMessages > 0 or maxBytes > 0 then
  step = (maxMessages == 0 or maxMessages > 1024) and 16 or 1
end

local function isFull(box)
  return (maxMessages > 0 and call('HLEN', box) >= maxMessages) or
         (maxBytes > 0 and (call('MEMORY', 'USAGE', box) or 0) >= maxBytes)
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

local counterPrefix = prefix .. 'seq:{' .. inboxPrefix
local field, before, after = '-' .. ARGV[10], ARGV[11], ARGV[12]
local life = ARGV[5]
local sequences = {}

-- The inboxes. Returns the name of a user whose inbox is full.
local function fill()
  for i = 1, count do
    local user = ARGV[first + i - 1]
    local box, counter = inboxPrefix .. user, counterPrefix .. user .. '}'

    -- A counter that is missing starts at the time in microseconds, which is
    -- above every number that was handed out before it went missing.
    local number = call('INCR', counter)
    if number == 1 then
      number = micros
      call('SET', counter, format('%d', micros))
    end

    local sequence = format('%d', number)
    sequences[i] = sequence

    if step > 0 and number % step == 0 and isFull(box) then return user end

    call('HSET', box, sequence .. field,
         before .. (i > numbers and quote(user) or user) .. after)
    call('PEXPIRE', box, life)
  end
end

-- The doorbells of other nodes, each with those recipients that it holds.
local function ring()
  local others
  for _, name in ipairs(call('ZRANGEBYSCORE', KEYS[2],
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
      call('XADD', stream, 'MAXLEN', '~', '10000', '*',
           'n', call('INCR', stream .. ':count'), 'm', ARGV[10],
           'b', before, 'a', after, 'r', table.concat(list, ' '))
    end
  end
end

-- Takes back what was done so far: the batch is stored as a whole or not at
-- all, whatever stands in the way (a key of another type, say).
local function undo()
  for i, sequence in ipairs(sequences) do
    local user = ARGV[first + i - 1]
    redis.pcall('HDEL', inboxPrefix .. user, sequence .. field)
    redis.pcall('DECR', counterPrefix .. user .. '}')
  end
end

local good, full = pcall(function()
  local user = fill()
  if not user then ring() end
  return user
end)

if not good then
  undo()
  return type(full) == 'table' and full or redis.error_reply(full)
end

if full then
  undo()
  return 'F' .. full
end

done = sub(done, 1, batch - 1) .. '1' .. sub(done, batch + 1)
call('SET', KEYS[1], batches .. ':' .. done, 'PX', ARGV[4])

return table.concat(sequences, ' ')
