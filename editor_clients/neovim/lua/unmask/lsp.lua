-- What of Neovim's language client differs from version to version: 0.12 attaches and draws by itself, 0.10 and 0.11 do
-- neither here.
local cursor = require('unmask.cursor')

local M = {}

local INLINE = 'textDocument/inlineCompletion'
local HAS_METHODS = vim.fn.has('nvim-0.11') == 1
-- where there is none, the plugin attaches servers and draws ghost text itself
M.IS_NATIVE = vim.lsp.inline_completion ~= nil

--- Calls a function of a client, which was no method before 0.11.
local function call(client, name, ...)
  if HAS_METHODS then
    return client[name](client, ...)
  end
  return client[name](...)
end

--- Sends a request; returns its number, nil when the client is gone.
function M.request(client, method, parameters, handler, bufnr)
  local sent, number = call(client, 'request', method, parameters, handler, bufnr)
  return sent and number or nil
end

function M.cancel(client, number)
  call(client, 'cancel_request', number)
end

function M.notify(client, method, parameters)
  call(client, 'notify', method, parameters)
end

--- Has the server run one of its commands.
function M.execute(client, command, arguments, handler)
  local parameters = { command = command, arguments = arguments }
  return M.request(client, 'workspace/executeCommand', parameters, handler or function() end, 0)
end

-- by buffer: where the cursor was when one asked for what was answered last; by client: whether its answers are followed
local places, followed = {}, {}

--- Where the cursor was, by cursor.here(), when one asked for the ghost text that a buffer got last.
function M.place_of_answer(bufnr)
  return places[bufnr]
end

--- Gives the texts of all answers the line ends that a buffer has inside: of those of a file of another system Neovim shows
--- a part as ^M. Notes where one asked, and has nothing asked while a macro is recorded: it would hold the key that accepts,
--- and none of the text.
function M.follow(client)
  if followed[client.id] then
    return
  end
  followed[client.id] = true
  local request = client.request
  client.request = function(...)
    local arguments, count = { ... }, select('#', ...)
    -- plugins of before 0.11 call it as a function, with a method first
    local method_at = type(arguments[1]) == 'string' and 1 or 2
    local is_inline = arguments[method_at] == INLINE
    if is_inline and vim.fn.reg_recording() ~= '' then
      return false
    end
    local place = is_inline and cursor.here()
    local bufnr = is_inline and vim.api.nvim_get_current_buf()
    local handler = arguments[method_at + 2]
    arguments[method_at + 2] = handler
      and function(err, result, ...)
        for _, item in ipairs(type(result) == 'table' and result.items or {}) do
          item.insertText = item.insertText:gsub('\r\n?', '\n')
        end
        if place and result then
          places[bufnr] = place
        end
        return handler(err, result, ...)
      end
    return request(unpack(arguments, 1, count))
  end
end

--- Where the cursor is, as the client counts.
function M.cursor(client)
  return vim.lsp.util.make_position_params(0, client.offset_encoding)
end

--- The length of a text, as the client counts.
function M.length(client, text)
  if HAS_METHODS then
    return vim.str_utfindex(text, client.offset_encoding)
  end
  local points, utf16 = vim.str_utfindex(text)
  return ({ ['utf-8'] = #text, ['utf-16'] = utf16, ['utf-32'] = points })[client.offset_encoding]
end

--- Ends a server; one that hangs is killed after two seconds.
function M.stop(client)
  if M.IS_NATIVE then
    return client:stop(2000)
  end
  call(client, 'stop')
  vim.defer_fn(function()
    if not M.is_stopped(client) then
      call(client, 'stop', true)
    end
  end, 2000)
end

--- All servers, also those that have not answered yet.
function M.all()
  return vim.lsp.get_clients({ name = 'unmask', _uninitialized = true })
end

function M.is_stopped(client)
  return call(client, 'is_stopped')
end

-- what setup() has given beside lsp/unmask.lua, and whether buffers get a server; of Neovim before 0.12
local given, enabled = {}, false
local from_file

--- The configuration: that of lsp/unmask.lua, and what was set beside it; nil where it is not on the runtimepath.
function M.config()
  if M.IS_NATIVE then
    return vim.lsp.config.unmask
  end
  if not from_file then
    local file = vim.api.nvim_get_runtime_file('lsp/unmask.lua', false)[1]
    from_file = file and dofile(file)
  end
  return from_file and vim.tbl_deep_extend('force', from_file, given)
end

function M.is_enabled()
  if M.IS_NATIVE then
    return vim.lsp.is_enabled('unmask')
  end
  return enabled
end

--- The folder of a buffer's project: by the first of the markers that any folder above it has.
local function root_of(bufnr, markers)
  for _, some in ipairs(markers) do
    local root = vim.fs.root(bufnr, some)
    if root then
      return root
    end
  end
end

local function attach(bufnr)
  local config = M.config()
  -- what a hover or a list shows is no file
  if not config or vim.bo[bufnr].buftype ~= '' or not vim.list_contains(config.filetypes, vim.bo[bufnr].filetype) then
    return
  end
  -- who lacks the program is told by lsp/unmask.lua
  if type(config.cmd) == 'function' or vim.fn.executable(config.cmd[1]) == 1 then
    config.name = 'unmask'
    config.root_dir = config.root_dir or root_of(bufnr, config.root_markers)
    config.capabilities = vim.lsp.protocol.make_client_capabilities()
    config.capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
    vim.lsp.start(config, { bufnr = bufnr })
  end
end

--- Has buffers of its file types attached to a server, or no more.
function M.enable(on)
  if M.IS_NATIVE then
    return vim.lsp.enable('unmask', on)
  end
  enabled = on
  local group = vim.api.nvim_create_augroup('unmask.attach', {})
  if not on then
    return
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    callback = function(event)
      attach(event.buf)
    end,
  })
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) then
      attach(bufnr)
    end
  end
end

--- Adds to the configuration.
function M.configure(more)
  if M.IS_NATIVE then
    vim.lsp.config('unmask', more)
  else
    given = vim.tbl_deep_extend('force', given, more)
  end
end

return M
