-- What keys do with ghost text: native.lua or own.lua draws it, and here parts of it are taken.
local cursor = require('unmask.cursor')
local lsp = require('unmask.lsp')
local server = require('unmask.server')

local M = {}

local drawn = require(lsp.IS_NATIVE and 'unmask.native' or 'unmask.own')

--- Inserts what `part_of` returns for the rest of the suggestion; false without one.
local function accept(part_of)
  return drawn.take(function(taken)
    -- what was typed since the suggestion came is not inserted again
    local typed = cursor.typed_since(taken.text, taken.place)
    if typed == nil then
      return
    end
    local rest = taken.text:sub(#typed + 1)
    local part = part_of(rest)
    cursor.insert(part)
    local client = vim.lsp.get_client_by_id(taken.client_id)
    if part == rest and taken.command and client then
      lsp.execute(client, taken.command.command, taken.command.arguments)
    end
  end)
end

--- Accepts all of it; false without ghost text, as are the next three.
function M.accept()
  return accept(function(rest)
    return rest
  end)
end

--- Accepts the next word, or the next run of punctuation, with the blanks before it.
function M.accept_word()
  return accept(function(rest)
    return rest:match('^%s*[%w_\128-\255]+') or rest:match('^%s*[^%w_%s\128-\255]+') or rest
  end)
end

--- Accepts up to the end of the line.
function M.accept_line()
  return accept(function(rest)
    return rest:match('^\n?[^\n]*')
  end)
end

--- Hides it until the next key.
function M.dismiss()
  return drawn.dismiss()
end

--- Shows the next of several suggestions; the first again behind the last one.
function M.next()
  drawn.select(1)
end

--- Shows the one before.
function M.previous()
  drawn.select(-1)
end

--- Asks now, whatever the preset: up to three suggestions, a block on a blank line. Begins to insert where one does not.
function M.trigger()
  local bufnr = vim.api.nvim_get_current_buf()
  if vim.fn.reg_recording() ~= '' then
    server.say('nothing is offered while a macro is recorded', vim.log.levels.WARN)
  elseif server.client_of(bufnr) then
    cursor.when_inserting(function()
      if not drawn.ask_by_hand(bufnr) then
        server.say('inline completion is off in this buffer; :Unmask toggle turns it on', vim.log.levels.WARN)
      end
    end)
  end
end

--- Whether there is ghost text in this buffer.
function M.is_on()
  local client = vim.lsp.get_clients({ name = 'unmask' })[1]
  return client ~= nil and drawn.is_on(client)
end

--- Turns ghost text of this server off everywhere, or on again.
function M.toggle()
  local client = server.client_of(nil)
  if client then
    local on = not drawn.is_on(client)
    drawn.turn(on, vim.lsp.get_clients({ name = 'unmask' }))
    server.say(on and 'on' or 'off; :Unmask toggle turns it on')
  end
end

--- Says what the server said last, and whether there is ghost text in this buffer.
function M.show_status()
  local client = server.client_of(nil)
  if client then
    local here = M.is_on() and '' or '; ghost text is off in this buffer, :Unmask toggle turns it on'
    local status = server.last_status() or {}
    local message = status.state or status.message or ''
    local difference = server.difference(client)
    local releases = difference and '; ' .. difference or ''
    server.say((message == '' and 'the server has said nothing yet' or message) .. releases .. here)
  end
end

--- Begins to ask and to draw.
function M.begin()
  drawn.begin()
end

return M
