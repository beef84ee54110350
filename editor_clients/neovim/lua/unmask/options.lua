-- What setup() is given: looked at before anything is done with it, so that a slip costs one option and no traceback.
local M = {}

local function is_function(value)
  return type(value) == 'function'
end

local function is_command(value)
  return is_function(value) or (vim.islist(value) and type(value[1]) == 'string')
end

local function is_table(value)
  return type(value) == 'table'
end

-- by its name: whether a value can be used, and what it must be
local OPTIONS = {
  cmd = { is_command, "a list such as { '/path/to/unmask', 'lsp' }" },
  on_attach = { is_function, 'a function of a client and a buffer' },
  settings = { is_table, "a table such as { preset = 'quiet' }" },
  keys = {
    function(value)
      return is_table(value) or value == false
    end,
    "a table such as { accept = '<C-y>' }, or false",
  },
}

local function is_key(value)
  return value == false or type(value) == 'string'
end

local function names(known)
  local found = vim.tbl_keys(known)
  table.sort(found)
  return table.concat(found, ', ')
end

--- Returns the part of a table that can be used; what is wrong with the rest is added to `wrong`, a sentence each.
local function right_of(given, known, what, wrong)
  local right = {}
  for name, value in pairs(given) do
    local fits, must = unpack(known[name] or {})
    if not fits then
      table.insert(wrong, ("%s takes %s, got '%s'"):format(what, names(known), name))
    elseif not fits(value) then
      table.insert(wrong, ('%s.%s must be %s, got %s'):format(what, name, must, vim.inspect(value):sub(1, 60)))
    else
      right[name] = value
    end
  end
  return right
end

--- Returns what can be used of the options, with the keys of `keys` where none are given, and what is wrong with the others.
function M.read(given, keys)
  local wrong = {}
  if not is_table(given) then
    table.insert(wrong, 'setup() takes a table, got ' .. vim.inspect(given):sub(1, 60))
    given = {}
  end
  local options = right_of(given, OPTIONS, 'setup', wrong)
  local known = vim.tbl_map(function()
    return { is_key, "a key such as '<C-y>', or false" }
  end, keys)
  local own = options.keys and right_of(options.keys, known, 'setup.keys', wrong) or {}
  options.keys = options.keys == false and {} or vim.tbl_extend('force', keys, own)
  return options, wrong
end

return M
