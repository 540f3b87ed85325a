-- wrk -s requests.lua URL -- FILE DEPTH: the requests of FILE in turn, DEPTH of them at once (pipelined).
-- A line of FILE: METHOD TARGET [BODY]. Headers come with wrk's -H.
local ready, at = {}, 0

function init(args)
    local plain, depth = {}, tonumber(args[2] or "1")
    for line in io.lines(args[1]) do
        local method, target, body = line:match("^(%S+) (%S+) ?(.*)$")
        plain[#plain + 1] = wrk.format(method, target, nil, body ~= "" and body or nil)
    end
    if depth == 1 then
        ready = plain
        return
    end
    for i = 1, #plain do
        local together = {}
        for k = 0, depth - 1 do
            together[k + 1] = plain[(i + k - 1) % #plain + 1]
        end
        ready[i] = table.concat(together)
    end
end

function request()
    at = at % #ready + 1
    return ready[at]
end
