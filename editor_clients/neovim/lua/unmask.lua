-- What the keys and the command `:Unmask` do; `:help unmask` has all of it.
local alternatives = require('unmask.alternatives')
local cursor = require('unmask.cursor')
local ghost = require('unmask.ghost')
local lsp = require('unmask.lsp')
local server = require('unmask.server')
local watch = require('unmask.watch')

local M = {}

--- Which key does what in insert mode, where setup() is given no other.
M.KEYS = {
  accept = '<Tab>',
  accept_word = '<M-Right>',
  accept_line = '<M-Down>',
  trigger = '<M-\\>',
  next = '<M-]>',
  previous = '<M-[>',
  dismiss = '<C-]>',
}
-- before the name of a key, in its description
local OURS = 'unmask: '
-- these do what they did before where there is no ghost text
local WITH_GHOST_TEXT = { 'accept', 'accept_word', 'accept_line', 'dismiss' }
-- by key: the mapping that there was before ours
local before = {}

--- Notes which mapping a key has.
local function keep(key)
  local mapping = vim.fn.maparg(key, 'i', false, true)
  -- one of a buffer goes before ours there, and after a second setup() it is ours
  if vim.tbl_isempty(mapping) then
    before[key] = nil
  elseif mapping.buffer == 0 and not vim.startswith(mapping.desc or '', OURS) then
    before[key] = mapping
  end
end

local function map(key, name)
  -- no mapping with <expr>: that is looked at before what was typed with the key is in the text
  vim.keymap.set('i', key, function()
    if ghost[name]() then
      -- what is taken is inserted a moment later: keys that are there already wait for that
      return cursor.settle()
    end
    -- without ghost text the key does what it did, as <Tab> jumps in a snippet: under its own name, by which a mapping may
    -- end in the key itself, and until all that is typed is done
    if before[key] then
      vim.fn.mapset('i', false, before[key])
      vim.schedule(function()
        map(key, name)
      end)
    end
    vim.api.nvim_feedkeys(vim.keycode(key), before[key] and 'im' or 'in', false)
  end, { desc = OURS .. name })
end

--- Turns it on. Options, each of them optional: `cmd`, a list, the program and its arguments; `settings`, as
--- docs/usage.md has them; `keys`, names of M.KEYS with other keys, or with false for none; false for no keys at all;
--- `on_attach`, a function of a client and a buffer.
function M.setup(given)
  if vim.fn.has('nvim-0.10') == 0 then
    return server.say('needs Neovim 0.10 or newer', vim.log.levels.ERROR)
  end
  local options, wrong = require('unmask.options').read(given or {}, M.KEYS)
  for _, complaint in ipairs(wrong) do
    server.say(complaint, vim.log.levels.WARN)
  end
  local settings = options.settings or vim.empty_dict()
  local config = { cmd = options.cmd, on_attach = options.on_attach }
  config.init_options, config.settings = settings, { unmask = settings }
  lsp.configure(config)
  lsp.enable(true)
  ghost.begin()
  for name, key in pairs(options.keys) do
    if key and vim.list_contains(WITH_GHOST_TEXT, name) then
      keep(key)
      map(key, name)
    elseif key then
      vim.keymap.set('i', key, ghost[name], { desc = OURS .. name })
    end
  end
end

for _, part in ipairs({ alternatives, ghost, server, watch }) do
  for name, what in pairs(part) do
    M[name] = what
  end
end

return M
