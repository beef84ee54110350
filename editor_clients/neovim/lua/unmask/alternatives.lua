-- `:Unmask alternatives`: several whole suggestions for one place, in a window beside the text. One is taken by <CR> in its
-- lines; closing the window ends what still runs.
local cursor = require('unmask.cursor')
local ghost = require('unmask.ghost')
local lsp = require('unmask.lsp')
local server = require('unmask.server')

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('unmask.alternatives')
local FIND = 'unmask.findAlternatives'
local HINT = '; <CR> takes the one at the cursor, q closes'

-- what stands in the panel: its bufnr, the place, the client, its items, and the line in which each begins, from 1
local panel

local function close()
  if panel and vim.api.nvim_buf_is_valid(panel.bufnr) then
    vim.api.nvim_buf_delete(panel.bufnr, { force = true })
  end
end

--- Writes a heading, and each alternative as the lines that it would make, with its number over it.
local function write(heading)
  local lines, starts = { heading }, {}
  for _, item in ipairs(panel.items) do
    table.insert(lines, '')
    table.insert(starts, #lines + 1)
    vim.list_extend(lines, vim.split(panel.before .. item.insertText .. panel.after, '\n'))
  end
  panel.starts = starts
  vim.bo[panel.bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(panel.bufnr, 0, -1, true, lines)
  vim.bo[panel.bufnr].modifiable = false
  for number, start in ipairs(starts) do
    local title = { { ('%d of %d'):format(number, #starts), 'Title' } }
    vim.api.nvim_buf_set_extmark(panel.bufnr, NAMESPACE, start - 2, 0, { virt_text = title, virt_text_pos = 'overlay' })
  end
end

--- Inserts the alternative at the panel's cursor where it was asked for, if the text is what it was, and goes on inserting.
local function take()
  local line, number = vim.api.nvim_win_get_cursor(0)[1], 1
  for at, start in ipairs(panel.starts) do
    number = start <= line and at or number
  end
  local place, item = panel, panel.items[number]
  if not item then
    return
  end
  if not vim.api.nvim_win_is_valid(place.window) or vim.api.nvim_win_get_buf(place.window) ~= place.source then
    return server.say('the text is in its window no more', vim.log.levels.WARN)
  end
  if vim.api.nvim_buf_get_changedtick(place.source) ~= place.tick then
    return server.say('the text was edited; ask for alternatives again', vim.log.levels.WARN)
  end
  close()
  vim.api.nvim_set_current_win(place.window)
  cursor.when_inserting(function()
    vim.api.nvim_win_set_cursor(0, { place.row + 1, place.column })
    cursor.insert(item.insertText)
    if not lsp.is_stopped(place.client) then
      lsp.execute(place.client, item.command.command, item.command.arguments)
    end
  end)
end

--- Opens an empty panel for a place, in the syntax of its text.
local function open(place)
  place.bufnr = vim.api.nvim_create_buf(false, true)
  vim.bo[place.bufnr].bufhidden = 'wipe'
  -- a file type would have servers and plugins take it for a file
  local highlighter = vim.treesitter.highlighter.active[place.source]
  if highlighter then
    vim.treesitter.start(place.bufnr, highlighter.tree:lang())
  else
    vim.bo[place.bufnr].syntax = vim.bo[place.source].syntax
  end
  vim.keymap.set('n', '<CR>', take, { buffer = place.bufnr, desc = 'unmask: take this alternative' })
  vim.keymap.set('n', 'q', close, { buffer = place.bufnr, nowait = true, desc = 'unmask: close' })
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = place.bufnr,
    once = true,
    callback = function()
      if place.number then
        lsp.cancel(place.client, place.number)
      end
      panel = nil
    end,
  })
  vim.cmd.stopinsert()
  vim.api.nvim_open_win(place.bufnr, true, { split = 'right', win = place.window })
end

local function show(place, err, result)
  place.number = nil
  if panel ~= place then
    return
  end
  place.items = result and result.items or {}
  local found = err and 'no alternatives: ' .. err.message or server.status()
  write(#place.items > 0 and found .. HINT or found)
end

--- Looks for alternatives at the cursor, and shows them beside the text.
function M.alternatives()
  local source = vim.api.nvim_get_current_buf()
  local client = server.client_of(source, FIND)
  if not client then
    return
  end
  close()
  ghost.dismiss()
  local row, column = cursor.place()
  local line = vim.api.nvim_get_current_line()
  local before = line:sub(1, column)
  local place = { source = source, window = vim.api.nvim_get_current_win(), client = client, items = {} }
  place.row, place.column, place.before, place.after = row, column, before, line:sub(column + 1)
  place.tick = vim.api.nvim_buf_get_changedtick(source)
  local argument = { uri = vim.uri_from_bufnr(source), version = vim.lsp.util.buf_versions[source] }
  argument.position = { row, lsp.length(client, before) }
  place.number = lsp.execute(client, FIND, { argument }, function(err, result)
    show(place, err, result)
  end)
  -- of a server that ends no answer comes
  vim.api.nvim_create_autocmd('LspDetach', {
    group = vim.api.nvim_create_augroup('unmask.alternatives', { clear = true }),
    buffer = source,
    callback = function(ended)
      if place.number and ended.data.client_id == client.id then
        show(place, { message = 'the server has ended' })
      end
    end,
  })
  panel = place
  open(place)
  write('looking for alternatives …')
end

return M
