-- Stores messages in inboxes. A unit is some messages of one chat for one
-- batch of its recipients: all of them that are not stored yet, for all of the
-- batch, or nothing. The units of a call have nothing to do with each other,
-- and no message is in two of them.
--
-- KEYS[1]  leases of the nodes (zset: node -> end of its lease, ms)
-- KEYS[2] ...  marker of each message, unit after unit: which of its batches
--              are stored
-- ARGV[1]  prefix of inbox keys       ARGV[2]  prefix of all other keys
-- ARGV[3]  the calling node           ARGV[4]  life of a marker, ms
-- ARGV[5]  life of an inbox, ms
-- ARGV[6]  most messages, ARGV[7] most bytes in an inbox (0: no limit)
-- ARGV[8] ...  units. Each:
--     number of the batch (from 1), of how many
--     how many messages, how many recipients, how many of these are JSON
--     numbers: those come first
--     of each message: its id, the news before and after the recipient
--     the recipients
--
-- Reply: a string for each unit:
--   "<stored> <number> <number> ..."  stored: a digit for each message, 1 when
--               it was stored now, 0 when it had been before; then the number
--               of the first that was stored now, for each recipient. The
--               others follow it without a gap.
--   "P<i> <n>"  an earlier attempt has split message i (from 1) into n
--               batches; nothing of the unit is stored
--   "F<user>"   the inbox of this user is full; nothing of the unit is stored
--   "E<error>"  an inbox could not be written; nothing of the unit is stored
--
-- Keys of a recipient are made from its inbox key and are in its cluster slot.
--
-- Lua hashes each string that it makes, byte by byte: of long news that end in
-- receive_user_id all inboxes get the same two strings, with 0 for numbers and
-- "" for strings there, which is nobody's id. Whoever reads puts in the owner.

local call = redis.call
local format, sub, find = string.format, string.sub, string.find
local concat, floor = table.concat, math.floor

local inboxPrefix, prefix, node = ARGV[1], ARGV[2], ARGV[3]
local maxMessages, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7])

-- Markers, then the counters of everybody who is in any unit: one MGET.
local names = {unpack(KEYS, 2)}
local markers = #names
local units, users, last = {}, {}, {}

local function readUnits()
  local at, marker, count, total = 8, 1, 0, #ARGV
  local counterPrefix = prefix .. 'seq:{' .. inboxPrefix

  while at < total do
    local messages, recipients = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local first = at + 5 + 3 * messages
    units[#units + 1] = {
      batch = tonumber(ARGV[at]), batches = ARGV[at + 1],
      messages = messages, marker = marker, news = at + 5,
      first = first, count = recipients, numbers = tonumber(ARGV[at + 4]),
      -- Of the new messages:
      stored = '', size = 0, marks = {}, fields = {}, befores = {},
      afters = {}, sequences = {}, filled = false
    }
    marker = marker + messages
    at = first + recipients

    for i = first, at - 1 do
      local user = ARGV[i]
      if not last[user] then
        last[user] = 0
        count = count + 1
        users[count] = user
        names[markers + count] = counterPrefix .. user .. '}'
      end
    end
  end
end

readUnits()
local found = call('MGET', unpack(names))

local micros
local function now()
  if not micros then
    local time = call('TIME')
    micros = time[1] * 1000000 + time[2]
  end
  return micros
end

-- A counter that is missing starts at the time in microseconds, which is above
-- every number that was handed out before it went missing.
for i, user in ipairs(users) do
  last[user] = tonumber(found[markers + i] or now() - 1)
end

-- Counters that have moved, as text: written at the end.
local moved = {}

-- Which messages of a unit are new, by their position; or what to reply.
local function newOf(unit)
  local new, stored, marks = {}, {}, unit.marks

  for k = 1, unit.messages do
    local split, done = unit.batches, nil
    local marker = found[unit.marker + k - 1]
    if marker then
      split, done = string.match(marker, '^(%d+):(%d+)$')
    end
    if done and not find(done, '0', 1, true) then
      stored[k] = '0'
    elseif split ~= unit.batches then
      return nil, 'P' .. k .. ' ' .. split
    elseif done and sub(done, unit.batch, unit.batch) == '1' then
      stored[k] = '0'
    else
      stored[k] = '1'
      new[#new + 1] = k
      done = done or string.rep('0', tonumber(unit.batches))
      marks[#marks + 1] = names[unit.marker + k - 1]
      marks[#marks + 1] = unit.batches .. ':' .. sub(done, 1, unit.batch - 1) ..
                          '1' .. sub(done, unit.batch + 1)
    end
  end

  unit.stored, unit.size = concat(stored), #new
  return new
end

-- The user whose inbox has no room for the unit. A large limit is looked at
-- when a number that 16 divides is handed out: what is refused takes no
-- number, so that a full inbox stays full, and exceeds its limit by 15
-- messages at most.
local function fullInbox(unit)
  local size = unit.size
  local step = (maxMessages == 0 or maxMessages > 1024) and 16 or 1

  for i = unit.first, unit.first + unit.count - 1 do
    local number = last[ARGV[i]]
    if step == 1 or floor((number + size) / 16) > floor(number / 16) then
      local box = inboxPrefix .. ARGV[i]
      if (maxMessages > 0 and call('HLEN', box) + size > maxMessages) or
         (maxBytes > 0 and
          (call('MEMORY', 'USAGE', box) or 0) >= maxBytes) then
        return ARGV[i]
      end
    end
  end
end

local kLong = 1024

-- The same news for everybody: for those whose id is a number, and a string.
local function alike(before, after)
  if #before >= kLong and after == '}' and
     sub(before, -19) == ',"receive_user_id":' then
    return {before .. '0}', before .. '""}'}
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

-- Writes the inboxes; unit.sequences has the first number for each.
local function fill(unit)
  local size, life = unit.size, ARGV[5]
  local fields, befores, afters = unit.fields, unit.befores, unit.afters
  local sequences, entry, long = unit.sequences, {}, {}

  for j = 1, size do
    long[j] = alike(befores[j], afters[j])
  end

  for i = 1, unit.count do
    local user = ARGV[unit.first + i - 1]
    local box, number = inboxPrefix .. user, last[user]
    local kind = i > unit.numbers and 2 or 1
    local value = kind == 2 and quote(user) or user
    local text = format('%d', number + 1)
    sequences[i] = text

    for j = 1, size do
      if j > 1 then text = format('%d', number + j) end
      entry[2 * j - 1] = text .. fields[j]
      entry[2 * j] = long[j] and long[j][kind] or
                     befores[j] .. value .. afters[j]
    end

    call('HSET', box, unpack(entry))

    call('PEXPIRE', box, life)
    last[user], moved[user] = number + size, text
  end
end

-- Other nodes that are alive, each with an empty list; nil when there are none.
local function others()
  local known = call('ZRANGE', KEYS[1], 0, -1)
  if #known == 0 or (#known == 1 and known[1] == node) then return end

  local lists
  for _, name in ipairs(call('ZRANGEBYSCORE', KEYS[1],
                             format('(%d', now() / 1000), '+inf')) do
    if name ~= node then
      lists = lists or {}
      lists[name] = {}
    end
  end
  return lists
end

local alone

-- The doorbells of other nodes, each with those recipients that it holds.
local function ring(unit)
  if alone then return end
  local lists = others()
  if not lists then
    alone = true
    return
  end

  local presencePrefix = prefix .. 'presence:{' .. inboxPrefix
  for i = 1, unit.count do
    local user = ARGV[unit.first + i - 1]
    local holders = call('ZRANGE', presencePrefix .. user .. '}', 0, -1)
    for _, name in ipairs(holders) do
      local list = lists[name]
      if list then
        list[#list + 1] = (i > unit.numbers and 's' or 'n') .. #user .. ':' ..
                          user .. unit.sequences[i]
      end
    end
  end

  for name, list in pairs(lists) do
    if #list > 0 then
      local stream = prefix .. 'node:' .. name
      local doorbell = {'n', call('INCR', stream .. ':count')}
      for j = 1, unit.size do
        for _, item in ipairs({'m', sub(unit.fields[j], 2),
                               'b', unit.befores[j], 'a', unit.afters[j]}) do
          doorbell[#doorbell + 1] = item
        end
      end
      doorbell[#doorbell + 1] = 'r'
      doorbell[#doorbell + 1] = concat(list, ' ')
      call('XADD', stream, 'MAXLEN', '~', '10000', '*', unpack(doorbell))
    end
  end
end

-- Takes back what was written of a unit: it is stored as a whole or not at
-- all, whatever stands in the way (a key of another type, say). Its numbers
-- are handed out again only while nobody can have heard of them.
local function undo(unit, reuse)
  for i, sequence in ipairs(unit.sequences) do
    local user, number = ARGV[unit.first + i - 1], tonumber(sequence)
    for j = 1, unit.size do
      redis.pcall('HDEL', inboxPrefix .. user,
                  format('%d', number + j - 1) .. unit.fields[j])
    end
    if reuse then
      last[user] = number - 1
      moved[user] = moved[user] and format('%d', number - 1)
    end
  end
end

local function store(unit)
  local new, refusal = newOf(unit)
  if not new then return refusal end
  if unit.size == 0 then return unit.stored end

  if maxMessages > 0 or maxBytes > 0 then
    local user = fullInbox(unit)
    if user then return 'F' .. user end
  end

  for j, k in ipairs(new) do
    local at = unit.news + 3 * (k - 1)
    unit.fields[j] = '-' .. ARGV[at]
    unit.befores[j], unit.afters[j] = ARGV[at + 1], ARGV[at + 2]
  end

  fill(unit)
  unit.filled = true
  return unit.stored .. ' ' .. concat(unit.sequences, ' ')
end

local function writeCounters()
  local updates, n = {}, 0
  for i, user in ipairs(users) do
    if moved[user] then
      updates[n + 1], updates[n + 2] = names[markers + i], moved[user]
      n = n + 2
    end
  end
  if n > 0 then call('MSET', unpack(updates)) end
end

local function writeMarkers(unit)
  for i = 1, #unit.marks, 2 do
    call('SET', unit.marks[i], unit.marks[i + 1], 'PX', ARGV[4])
  end
end

-- Runs a step, for one unit or for all. What goes wrong there is the matter of
-- that unit when a key of its own is to blame, otherwise of the whole call.
local reply, problem = {}, nil

local function try(step, u, reuse)
  local good, result = pcall(step, units[u])
  if good then return result end
  local text = type(result) == 'table' and result.err or tostring(result)
  if not u or not find(text, 'WRONGTYPE', 1, true) then
    problem = text
    return
  end
  undo(units[u], reuse)
  units[u].filled = false
  return 'E' .. text
end

for u = 1, #units do
  reply[u] = problem or try(store, u, true)
end

if not problem then try(writeCounters) end

for _, step in ipairs({ring, writeMarkers}) do
  for u, unit in ipairs(units) do
    if unit.filled and not problem then
      reply[u] = try(step, u) or reply[u]
    end
  end
end

if problem then
  for _, unit in ipairs(units) do undo(unit) end
  return redis.error_reply(problem)
end

return reply
