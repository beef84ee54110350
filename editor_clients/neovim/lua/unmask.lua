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
-- these do what they did before where there is no ghost text
local WITH_GHOST_TEXT = { 'accept', 'accept_word', 'accept_line', 'dismiss' }

local function map(key, name)
  local before = vim.fn.maparg(key, 'i', false, true)
  vim.keymap.set('i', key, function()
    if ghost[name]() then
      return ''
    end
    -- without ghost text the key does what it did, as <Tab> jumps in a snippet
    return before.callback and before.expr == 1 and before.callback() or key
  end, { expr = true, desc = 'unmask: ' .. name })
end

--- Turns it on. Options, each of them optional: `cmd`, a list, the program and its arguments; `settings`, as
--- docs/usage.md has them; `keys`, names of M.KEYS with other keys, or with false for none; false for no keys at all.
function M.setup(options)
  if vim.fn.has('nvim-0.10') == 0 then
    return server.say('needs Neovim 0.10 or newer', vim.log.levels.ERROR)
  end
  options = options or {}
  local settings = options.settings or vim.empty_dict()
  lsp.configure({ cmd = options.cmd, init_options = settings, settings = { unmask = settings } })
  lsp.enable(true)
  ghost.begin()
  if options.keys == false then
    return
  end
  for name, key in pairs(vim.tbl_extend('force', M.KEYS, options.keys or {})) do
    if key and vim.list_contains(WITH_GHOST_TEXT, name) then
      map(key, name)
    elseif key then
      vim.keymap.set('i', key, ghost[name], { desc = 'unmask: ' .. name })
    end
  end
end

for _, part in ipairs({ alternatives, ghost, server, watch }) do
  for name, what in pairs(part) do
    M[name] = what
  end
end

return M
