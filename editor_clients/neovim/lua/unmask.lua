-- What the keys and the command `:Unmask` do; `:help unmask` has all of it.
local alternatives = require('unmask.alternatives')
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
-- what is taken is inserted a moment after its key: keys that are there already wait for that
local SETTLE = "<Cmd>lua require('unmask.cursor').settle()<CR>"

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
  vim.keymap.set('i', key, function()
    -- without ghost text the key does what it did, as <Tab> jumps in a snippet
    return ghost[name]() and SETTLE or before or key
  end, { expr = true, remap = before ~= nil, desc = OURS .. name })
end

--- Turns it on. Options, each of them optional: `cmd`, a list, the program and its arguments; `settings`, as
--- docs/usage.md has them; `keys`, names of M.KEYS with other keys, or with false for none; false for no keys at all.
function M.setup(given)
  if vim.fn.has('nvim-0.10') == 0 then
    return server.say('needs Neovim 0.10 or newer', vim.log.levels.ERROR)
  end
  local options, wrong = require('unmask.options').read(given or {}, M.KEYS)
  for _, complaint in ipairs(wrong) do
    server.say(complaint, vim.log.levels.WARN)
  end
  local settings = options.settings or vim.empty_dict()
  lsp.configure({ cmd = options.cmd, init_options = settings, settings = { unmask = settings } })
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
