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
--- Keeps what a key does now under another name; nil where it does nothing but itself.
local function kept(key)
  local before = vim.fn.maparg(key, 'i', false, true)
  -- one of a buffer goes before ours there
  if vim.tbl_isempty(before) or before.buffer == 1 then
    return nil
  end
  local name = ('<Plug>(unmask-before-%s)'):format(key:gsub('%W', function(sign)
    return ('%02x'):format(sign:byte())
  end))
  -- after a second setup() it is ours
  if not vim.startswith(before.desc or '', OURS) then
    before.lhs, before.lhsraw, before.lhsrawalt = name, vim.keycode(name), nil
    vim.fn.mapset('i', false, before)
  end
  return vim.fn.maparg(name, 'i') ~= '' and name or nil
end

local function map(key, name)
  local before = kept(key)
  local keys, how = vim.keycode(before or key), before and 'im' or 'in'
  -- no mapping with <expr>: that is looked at before what was typed with the key is in the text
  vim.keymap.set('i', key, function()
    if ghost[name]() then
      -- what is taken is inserted a moment later: keys that are there already wait for that
      cursor.settle()
    else
      -- without ghost text the key does what it did, as <Tab> jumps in a snippet
      vim.api.nvim_feedkeys(keys, how, false)
    end
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
