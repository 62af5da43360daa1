-- The requests that wrk sends: increments with fresh keys, arrays of them, or reads.
--   BENCH_TOKEN     the bearer token
--   BENCH_ITEMS     0: read; 1: one increment, its key in the header; more: arrays so long
--   BENCH_PAUSE_MS  the mean pause of a connection between two requests; none if empty

local items = tonumber(os.getenv("BENCH_ITEMS"))
local pause = tonumber(os.getenv("BENCH_PAUSE_MS"))
local headers = {
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN"),
  ["Content-Type"] = "application/json",
}

function init()
  local source = io.open("/dev/urandom", "rb")
  local seed = 0
  for _, byte in ipairs({source:read(6):byte(1, 6)}) do seed = seed * 256 + byte end
  source:close()
  math.randomseed(seed)
end

local function word() return math.random(0, 4294967295) end

local function key() return string.format("%08x%08x%08x%08x", word(), word(), word(), word()) end

local function array()
  local parts = {}
  for item = 1, items do parts[item] = '{"amount": 1, "key": "' .. key() .. '"}' end
  return "[" .. table.concat(parts, ",") .. "]"
end

function request()
  if items == 0 then return wrk.format("GET", nil, headers) end
  if items > 1 then return wrk.format("POST", nil, headers, array()) end
  headers["Idempotency-Key"] = key()
  return wrk.format("POST", nil, headers, '{"amount": 1}')
end

-- Pauses as of many clients that know nothing of each other. wrk asks for them only if this
-- function is there.
if pause then
  function delay() return math.floor(-math.log(1 - math.random()) * pause) end
end

dofile(os.getenv("BENCH_FIGURES"))
