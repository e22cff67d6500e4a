-- Where the stream of a node ends, and how many doorbells were rung in all.
--
-- KEYS[1]  stream            KEYS[2]  its count
--
-- Reply: {id of the last entry, count}

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)

return {last[1] and last[1][1] or '0-0', redis.call('GET', KEYS[2]) or '0'}
