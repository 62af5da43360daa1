-- What people do with todos all day: mostly reading, some of it searching, some writing.
--   BENCH_PEOPLE  a file: for each of them a line with the token and ids of their todos
--   BENCH_WORDS   words to search for, with blanks between

local people, words = {}, {}
for line in io.lines(os.getenv("BENCH_PEOPLE")) do
  local person = { ids = {} }
  for word in line:gmatch("%S+") do
    if person.token then person.ids[#person.ids + 1] = word else person.token = word end
  end
  people[#people + 1] = person
end
for word in os.getenv("BENCH_WORDS"):gmatch("%S+") do words[#words + 1] = word end

local turn = 0

function request()
  turn = turn + 1
  local person = people[turn % #people + 1]
  local headers = {
    ["Authorization"] = "Bearer " .. person.token,
    ["Content-Type"] = "application/json",
  }
  local one = "/api/todos/" .. person.ids[math.random(#person.ids)] .. "/"
  local kind = math.random(100)
  if kind <= 40 then return wrk.format("GET", "/api/todos/", headers) end
  if kind <= 55 then return wrk.format("GET", "/api/todos/?completed=false&category=work", headers) end
  if kind <= 65 then
    return wrk.format("GET", "/api/todos/?search=" .. words[math.random(#words)], headers)
  end
  if kind <= 80 then return wrk.format("GET", one, headers) end
  if kind <= 92 then
    return wrk.format("POST", "/api/todos/", headers, '{"title": "one more", "tags": ["soon"]}')
  end
  return wrk.format("PATCH", one, headers, '{"completed": ' .. tostring(kind % 2 == 0) .. "}")
end

dofile(os.getenv("BENCH_FIGURES"))
