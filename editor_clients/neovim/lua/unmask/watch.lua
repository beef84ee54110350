-- `:Unmask watch`: one fill pass by pass, drawn where its text would stand. At the end it is ghost text as any other.
local cursor = require('unmask.cursor')
local ghost = require('unmask.ghost')
local lsp = require('unmask.lsp')
local server = require('unmask.server')

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('unmask.denoising')
local MASK = '░'
local CHARACTER = '[%z\1-\127\194-\244][\128-\191]*'
local CANCELLED = -32800
local GROUPS = {
  UnmaskMask = 'NonText',
  UnmaskSure = 'DiagnosticOk',
  UnmaskLikely = 'DiagnosticWarn',
  UnmaskUnsure = 'DiagnosticError',
}

-- what is watched: bufnr, uri, version, row, column; `found` once there is an answer
local watched

local function group_of(character, confidence)
  if character == MASK then
    return 'UnmaskMask'
  end
  return confidence > 0.8 and 'UnmaskSure' or confidence > 0.4 and 'UnmaskLikely' or 'UnmaskUnsure'
end

--- The text of a pass as lines of what an extmark takes, each run of a group in one piece.
local function lines_of(step)
  local lines, at = { {} }, 0
  for character in step.text:gmatch(CHARACTER) do
    at = at + 1
    local line, group = lines[#lines], group_of(character, step.confidence[at])
    local last = line[#line]
    if character == '\n' then
      table.insert(lines, {})
    elseif last and last[2] == group then
      last[1] = last[1] .. character
    else
      table.insert(line, { character, group })
    end
  end
  table.insert(lines[#lines], { (' %d passes, %.0f ms'):format(step.steps, step.ms), 'UnmaskMask' })
  return lines
end

--- Draws a pass: called by lsp/unmask.lua with what the server says of it.
function M.show(step)
  local document = step.textDocument
  if not watched or document.uri ~= watched.uri or document.version ~= watched.version then
    return
  end
  watched.found = step.final and step.text:match('%S') ~= nil
  local lines = lines_of(step)
  vim.api.nvim_buf_clear_namespace(watched.bufnr, NAMESPACE, 0, -1)
  vim.api.nvim_buf_set_extmark(watched.bufnr, NAMESPACE, watched.row, watched.column, {
    virt_text = lines[1],
    virt_text_pos = 'inline',
    virt_lines = vim.list_slice(lines, 2),
    hl_mode = 'combine',
  })
end

--- Forgets what is watched, and clears it away.
local function forget()
  if watched and vim.api.nvim_buf_is_valid(watched.bufnr) then
    vim.api.nvim_buf_clear_namespace(watched.bufnr, NAMESPACE, 0, -1)
  end
  watched = nil
end

local function is_here(place)
  local at = vim.api.nvim_win_get_cursor(0)
  local bufnr = vim.api.nvim_get_current_buf()
  return bufnr == place.bufnr and at[1] - 1 == place.row and at[2] == place.column and cursor.is_inserting()
end

local function begin(client, bufnr)
  -- an automatic request that is still to come would take its place
  ghost.dismiss()
  local at, parameters = vim.api.nvim_win_get_cursor(0), lsp.cursor(client)
  local mine = { bufnr = bufnr, uri = parameters.textDocument.uri, row = at[1] - 1, column = at[2] }
  mine.version = vim.lsp.util.buf_versions[bufnr]
  forget()
  watched = mine
  local place = { parameters.position.line, parameters.position.character }
  local argument = { uri = mine.uri, version = mine.version, position = place }
  local number = lsp.execute(client, 'unmask.watch', { argument }, function(err)
    if watched == mine then
      local shows = mine.found and is_here(mine)
      forget()
      if shows then
        ghost.trigger()
      end
      if not err then
        server.say(server.status())
      end
    end
    if err and err.code ~= CANCELLED then
      server.say(err.message, vim.log.levels.ERROR)
    end
  end)
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'InsertLeave', 'BufLeave' }, {
    buffer = bufnr,
    callback = function(event)
      if watched ~= mine then
        return true
      end
      if event.event ~= 'CursorMovedI' or not is_here(mine) then
        forget()
        lsp.cancel(client, number)
        return true
      end
    end,
  })
end

--- Fills at the cursor and shows every pass. Begins to insert where one does not; a key ends it.
function M.watch()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = server.client_of(bufnr, 'unmask.watch')
  if client then
    for name, link in pairs(GROUPS) do
      vim.api.nvim_set_hl(0, name, { link = link, default = true })
    end
    cursor.when_inserting(function()
      begin(client, bufnr)
    end)
  end
end

return M
