-- What `:Unmask` has the server do, and what the server says of its model.
local lsp = require('unmask.lsp')

local M = {}

--- Of this plugin.
M.RELEASE = '0.1.0'

-- by client: what the server said last of the model
local states = {}

--- Tells the person, in one line.
function M.say(message, level)
  vim.notify('unmask: ' .. message, level or vim.log.levels.INFO)
end

--- Whether a server, which may be of another release, has a command.
local function has(client, command)
  local provider = client.server_capabilities.executeCommandProvider or {}
  return vim.list_contains(provider.commands or {}, command)
end

--- The client of the current buffer, else any: each project has one.
local function nearest_client()
  return vim.lsp.get_clients({ name = 'unmask', bufnr = 0 })[1] or vim.lsp.get_clients({ name = 'unmask' })[1]
end

--- The client of a buffer that may be changed; the nearest one where `bufnr` is nil. Says so where there is none, or where
--- its server lacks a command.
function M.client_of(bufnr, command)
  if bufnr and not vim.bo[bufnr].modifiable then
    return M.say('this buffer may not be changed', vim.log.levels.WARN)
  end
  local clients = bufnr and vim.lsp.get_clients({ name = 'unmask', bufnr = bufnr }) or { nearest_client() }
  local client = clients[1]
  if not client and #lsp.all() > 0 then
    return M.say('the server has not answered yet; :Unmask restart starts another', vim.log.levels.WARN)
  end
  if not client then
    local where = bufnr and ' to this buffer' or ''
    return M.say('no server is attached' .. where .. '; :checkhealth unmask says why', vim.log.levels.WARN)
  end
  if command and not has(client, command) then
    local lack = "the server %s has no '%s', the plugin is %s"
    return M.say(lack:format(M.release_of(client), command, M.RELEASE), vim.log.levels.WARN)
  end
  return client
end

--- Runs a command of the server, and says what it says then.
local function run(client, command, argument)
  lsp.execute(client, command, { argument }, function(err)
    if err then
      M.say(err.message, vim.log.levels.ERROR)
    else
      M.say((states[client.id] or {}).message or 'done')
    end
  end)
end

--- Offers nothing unasked in any project for some minutes (ten when none are named); 0 ends that.
function M.snooze(minutes)
  local client = M.client_of(nil, 'unmask.snooze')
  if client then
    for _, other in ipairs(vim.lsp.get_clients({ name = 'unmask' })) do
      if other.id ~= client.id then
        lsp.execute(other, 'unmask.snooze', { minutes })
      end
    end
    run(client, 'unmask.snooze', minutes)
  end
end

--- A range of a document in one state, as the server's commands take it.
local function argument_of(bufnr, range)
  return { uri = vim.uri_from_bufnr(bufnr), version = vim.lsp.util.buf_versions[bufnr], range = range }
end

--- The same of whole lines; nil without any.
local function place_of(client, bufnr, first, last)
  if first then
    local text = vim.api.nvim_buf_get_lines(bufnr, last - 1, last, true)[1]
    return argument_of(bufnr, { { first - 1, 0 }, { last - 1, lsp.length(client, text) } })
  end
end

--- Fills the holes between two lines, from 1; without them those around the cursor.
function M.fill_holes(first, last)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = M.client_of(bufnr, 'unmask.fillHoles')
  if client then
    local at = lsp.cursor(client).position
    local here = { at.line, at.character }
    run(client, 'unmask.fillHoles', place_of(client, bufnr, first, last) or argument_of(bufnr, { here, here }))
  end
end

--- Rewrites the lines from `first` to `last`, from 1; `strength` is light, refresh or rewrite.
function M.rewrite(first, last, strength, instruction)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = M.client_of(bufnr, 'unmask.rewriteSelection')
  if client then
    local more = { strength = strength, instruction = instruction }
    run(client, 'unmask.rewriteSelection', vim.tbl_extend('error', place_of(client, bufnr, first, last), more))
  end
end

--- Starts the server anew, also one that has died.
function M.restart()
  local old = lsp.all()
  lsp.enable(false)
  vim.tbl_map(lsp.stop, old)
  local function start_when_gone()
    for _, client in ipairs(old) do
      if not lsp.is_stopped(client) then
        return vim.defer_fn(start_when_gone, 50)
      end
    end
    lsp.enable(true)
    M.say('the server is started anew')
  end
  start_when_gone()
end

--- What the server said last, as `{ kind, busy, message, state }`; nil without a server.
function M.last_status()
  local client = nearest_client()
  return client and states[client.id]
end

--- The words of it, for a statusline; empty without a server.
function M.status()
  return (M.last_status() or {}).message or ''
end

--- Opens Neovim's log of all language servers, in which what this one reports is, at its end.
function M.log()
  vim.cmd('tabnew +$ ' .. vim.fn.fnameescape(vim.lsp.log.get_filename()))
  vim.bo.readonly = true
  M.say('the log of all language servers; our lines name the program')
end

function M.release_of(client)
  return (client.server_info or {}).version or 'of an unknown release'
end

--- That a server and this plugin are of two releases; nil where they are of one.
function M.difference(client)
  local release = M.release_of(client)
  return release ~= M.RELEASE and ('the server is %s, the plugin %s'):format(release, M.RELEASE) or nil
end

--- Takes what a server says of its model: called by lsp/unmask.lua.
function M.take_status(client_id, status)
  states[client_id] = status
  vim.cmd.redrawstatus()
end

return M
