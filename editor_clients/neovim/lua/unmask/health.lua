-- `:checkhealth unmask`
local lsp = require('unmask.lsp')

local M = {}

local function check_neovim()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.10') == 0 then
    vim.health.error('Neovim is ' .. version, 'text in the middle of a line came with 0.10')
    return false
  end
  local drawn = lsp.IS_NATIVE and '' or ', in which the plugin draws ghost text itself'
  vim.health.ok('Neovim is ' .. version .. drawn)
  return true
end

local function check_program(config)
  local cmd = config and config.cmd
  if not config then
    vim.health.error('lsp/unmask.lua is not on the runtimepath', 'see :help unmask-install')
  elseif type(cmd) ~= 'table' then
    vim.health.info('cmd is a function: not examined')
  elseif vim.fn.executable(cmd[1]) == 0 then
    local advice = "install it, or name it by its whole path: require('unmask').setup({ cmd = { '/…/unmask', 'lsp' } })"
    vim.health.error(("'%s' is not on the PATH of Neovim"):format(cmd[1]), advice)
  else
    vim.health.ok(('the server is started by: %s (%s)'):format(table.concat(cmd, ' '), vim.fn.exepath(cmd[1])))
  end
end

local function check_servers()
  if not lsp.is_enabled() then
    vim.health.warn('it is not enabled', "require('unmask').setup() in init.lua")
  end
  local clients = vim.lsp.get_clients({ name = 'unmask' })
  if #clients == 0 and #lsp.all() > 0 then
    vim.health.warn('the server has not answered yet', ':Unmask restart starts another')
  elseif #clients == 0 then
    local advice = { 'open a file of a language that it completes', ':Unmask log shows what it said before it ended' }
    vim.health.warn('no server runs', advice)
  end
  for _, client in ipairs(clients) do
    local buffers = vim.tbl_count(client.attached_buffers)
    local server = require('unmask.server')
    vim.health.ok(('server %s is attached to %d buffer(s)'):format(server.release_of(client), buffers))
    local difference = server.difference(client)
    if difference then
      vim.health.warn(difference, 'what both know works; with one release of both all does')
    end
  end
  if #clients > 0 and not require('unmask').is_on() then
    vim.health.info('ghost text is off; :Unmask toggle turns it on')
  end
end

local function check_model()
  local status = require('unmask.server').last_status()
  -- not the words of a command, which are there for a moment
  local model = status and (status.state or status.message)
  if not status then
    vim.health.info('no server has said anything of a model yet')
  elseif status.kind == 'Warning' then
    vim.health.warn('model: ' .. model)
  elseif status.kind == 'Error' then
    vim.health.error(model, '`unmask doctor` in a terminal examines it')
  else
    vim.health.ok('model: ' .. model)
  end
end

function M.check()
  vim.health.start('unmask')
  if check_neovim() then
    check_program(lsp.config())
    check_servers()
    check_model()
  end
  vim.health.info('log: ' .. vim.lsp.log.get_filename())
end

return M
