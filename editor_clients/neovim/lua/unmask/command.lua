-- The command `:Unmask`: its words, and what is offered for each.
local M = {}

local STRENGTHS = { 'light', 'refresh', 'rewrite' }

local function wrong(message)
  vim.notify('unmask: ' .. message, vim.log.levels.ERROR)
end

local function snooze(words)
  local minutes = words[1] and tonumber(words[1])
  if #words > 1 or (words[1] and not (minutes and minutes >= 0 and minutes <= 10080)) then
    return wrong(':Unmask snooze takes minutes from 0 to 10080, got ' .. table.concat(words, ' '))
  end
  require('unmask').snooze(minutes)
end

local function fill_holes(_, command)
  local is_range = command.range > 0
  require('unmask').fill_holes(is_range and command.line1 or nil, is_range and command.line2 or nil)
end

local function rewrite(words, command)
  local strength = words[1] or 'light'
  if not vim.list_contains(STRENGTHS, strength) then
    return wrong(':Unmask rewrite takes light, refresh or rewrite, and then an instruction, got ' .. strength)
  end
  local instruction = table.concat(words, ' ', 2)
  require('unmask').rewrite(command.line1, command.line2, strength, instruction)
end

local function calls(name)
  return function()
    require('unmask')[name]()
  end
end

-- by its word: what it does, and the words that may follow
local ACTIONS = {
  alternatives = { calls('alternatives') },
  dismiss = { calls('dismiss') },
  ['fill-holes'] = { fill_holes },
  log = { calls('log') },
  next = { calls('next') },
  previous = { calls('previous') },
  restart = { calls('restart') },
  rewrite = { rewrite, STRENGTHS },
  snooze = { snooze, { '0', '10', '60' } },
  status = { calls('show_status') },
  toggle = { calls('toggle') },
  trigger = { calls('trigger') },
  watch = { calls('watch') },
}

local function names()
  local found = vim.tbl_keys(ACTIONS)
  table.sort(found)
  return found
end

--- Runs it; without a word it is `status`.
function M.run(command)
  local words = vim.deepcopy(command.fargs)
  local name = table.remove(words, 1) or 'status'
  if ACTIONS[name] then
    ACTIONS[name][1](words, command)
  else
    wrong((':Unmask takes one of %s, got %s'):format(table.concat(names(), ', '), name))
  end
end

--- The words that may stand where the cursor is.
function M.complete(lead, line)
  local words = vim.split(line:gsub("^.-Unmask%s+", ''), '%s+')
  local offered = #words == 1 and names() or #words == 2 and (ACTIONS[words[1]] or {})[2] or {}
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, offered)
end

return M
