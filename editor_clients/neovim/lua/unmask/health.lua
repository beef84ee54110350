-- `:checkhealth unmask`
local M = {}

local function check_neovim()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.12') == 0 then
    vim.health.error('Neovim is ' .. version, 'inline completion came with 0.12')
    return false
  end
  vim.health.ok('Neovim is ' .. version)
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
  if not vim.lsp.is_enabled('unmask') then
    vim.health.warn('it is not enabled', "require('unmask').setup() in init.lua, or vim.lsp.enable('unmask')")
  end
  local clients = vim.lsp.get_clients({ name = 'unmask' })
  if #clients == 0 then
    local advice = { 'open a file of a language that it completes', ':Unmask log shows what it said before it ended' }
    vim.health.warn('no server runs', advice)
  end
  for _, client in ipairs(clients) do
    local buffers = vim.tbl_count(client.attached_buffers)
    local version = (client.server_info or {}).version or 'of an unknown version'
    vim.health.ok(('server %s is attached to %d buffer(s)'):format(version, buffers))
    if not vim.lsp.inline_completion.is_enabled({ client_id = client.id }) then
      vim.health.info('ghost text is off; :Unmask toggle turns it on')
    end
  end
end

local function check_model()
  local status = require('unmask.server').last_status()
  if not status then
    vim.health.info('no server has said anything of a model yet')
  elseif status.kind == 'Error' then
    vim.health.error(status.message, '`unmask doctor` in a terminal examines it')
  else
    vim.health.ok('model: ' .. status.message)
  end
end

function M.check()
  vim.health.start('unmask')
  if check_neovim() then
    check_program(vim.lsp.config.unmask)
    check_servers()
    check_model()
  end
  vim.health.info('log: ' .. vim.lsp.log.get_filename())
end

return M
