# What the Redis store lets the server do: five scripts, each atomic, each one round trip, on the one hash of a session
# (and so on one cluster slot). Redis 5 or later.
#
#   version, state, saved_at    what was saved last, and when
#   lease, ends_at              the lease that was taken last and not given back; it stays when it has ended by itself,
#                               which is the mark that its holder was interrupted
#   interrupted                 what the holder of this lease was told of the one before it
#   ended                       the lease that the last save gave back
#
# Time is the server's, in milliseconds: whole numbers that Lua holds exactly, and passes on with all their digits.
#
# Each script may be run twice without harm, for a client that did not get the answer and asks again: a lease is known
# by its id, which is in ARGV[1]. Writing begins with an HSET of everything, so that a server without memory refuses
# before anything has changed.

__all__ = ["ACQUIRE", "LOAD", "RELEASE", "RENEW", "SAVE"]

_HEAD = """
local key, id = KEYS[1], ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function field(name) return redis.call('HGET', key, name) end

local function touch(keep, at_least)  -- an untouched session is forgotten after `keep`, if that is not 0
    if tonumber(keep) > 0 then
        redis.call('PEXPIRE', key, math.max(tonumber(keep), tonumber(at_least)))
    end
end

local function stored(is_taken, interrupted)
    local values = redis.call('HMGET', key, 'version', 'state', 'saved_at')
    local saved_at = tonumber(values[3] or '')
    local state = values[2] or ''
    if string.find(state, '[^ -~]') then state = '?' end  -- not ours, and perhaps not decodable
    return {is_taken, interrupted, values[1] or '0', state, saved_at and math.max(now - saved_at, -1) or -1}
end
"""

LOAD = _HEAD + "return stored(0, 0)"

# ARGV: id, ttl, the version that is expected or '', keep
ACQUIRE = (
    _HEAD
    + """
local holder = field('lease')
local interrupted = holder and 1 or 0
if holder == id then
    interrupted = tonumber(field('interrupted')) or 1
else
    if ARGV[3] ~= '' and ARGV[3] ~= (field('version') or '0') then return stored(0, 0) end
    if holder and now < (tonumber(field('ends_at') or '') or 0) then return stored(0, 0) end
end
redis.call('HSET', key, 'lease', id, 'ends_at', now + ARGV[2], 'interrupted', interrupted)
touch(ARGV[4], ARGV[2])
return stored(1, interrupted)
"""
)

# ARGV: id, ttl, keep
RENEW = (
    _HEAD
    + """
if field('lease') ~= id then return 0 end
redis.call('HSET', key, 'ends_at', now + ARGV[2])
touch(ARGV[3], ARGV[2])
return 1
"""
)

# ARGV: id, version, state, 1 to give the lease back, keep
SAVE = (
    _HEAD
    + """
if field('lease') ~= id then
    return field('ended') == id and field('version')  -- asked again: it was done, and nobody has saved since
end
local ended = ARGV[4] == '1' and id or ''
redis.call('HSET', key, 'version', ARGV[2], 'state', ARGV[3], 'saved_at', now, 'ended', ended)
if ARGV[4] == '1' then
    redis.call('HDEL', key, 'lease', 'ends_at', 'interrupted')
end
touch(ARGV[5], 0)
return ARGV[2]
"""
)

# ARGV: id
RELEASE = (
    _HEAD
    + """
if field('lease') == id then
    redis.call('HDEL', key, 'lease', 'ends_at', 'interrupted')
end
return 1
"""
)
