-- Ghost text for Neovim 0.10 and 0.11, which have none: asks, draws by extmarks. The same functions as native.lua.
local cursor = require('unmask.cursor')
local lsp = require('unmask.lsp')

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('unmask.ghost')
local INVOKED, AUTOMATIC = 1, 2
-- the server answers most keys at once, and drops what a newer request makes of no use
local PAUSE_MS = 75

local is_on = false
local timer
-- the suggestions for one place, which cursor.here() gave: bufnr, place, client_id, items, index
local shown
-- the request on its way: client, number
local asked

--- What is left of the suggestion at the cursor, and its item; nil when there is none, or it no longer fits.
local function rest_of_shown()
  local is_here = shown and shown.bufnr == vim.api.nvim_get_current_buf()
  local item = is_here and shown.items[shown.index]
  local typed = item and cursor.typed_since(item.insertText, shown.place)
  local rest = typed and item.insertText:sub(#typed + 1) or ''
  return rest ~= '' and rest or nil, item
end

local function clear()
  if shown and vim.api.nvim_buf_is_valid(shown.bufnr) then
    vim.api.nvim_buf_clear_namespace(shown.bufnr, NAMESPACE, 0, -1)
  end
end

--- Draws what is left of the suggestion, with a note behind it if one is given; false when nothing is left.
local function draw(note)
  clear()
  local rest = rest_of_shown()
  if not rest then
    shown = nil
    return false
  end
  local lines = vim.tbl_map(function(line)
    return { { line, 'UnmaskGhost' } }
  end, vim.split(rest, '\n'))
  if note then
    table.insert(lines[#lines], { note, 'UnmaskGhost' })
  end
  local at = vim.api.nvim_win_get_cursor(0)
  vim.api.nvim_buf_set_extmark(shown.bufnr, NAMESPACE, at[1] - 1, at[2], {
    virt_text = lines[1],
    virt_text_pos = 'inline',
    virt_lines = vim.list_slice(lines, 2),
    hl_mode = 'combine',
  })
  return true
end

--- Asks the server at the cursor. An older request stays: the server goes on with its work where that is of use.
local function ask(kind)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = 'unmask', bufnr = bufnr })[1]
  if not client or not client.initialized then
    return
  end
  local parameters = lsp.cursor(client)
  parameters.context = { triggerKind = kind }
  local place, tick = cursor.here(), vim.api.nvim_buf_get_changedtick(bufnr)
  local mine = { client = client }
  asked = mine
  mine.number = lsp.request(client, 'textDocument/inlineCompletion', parameters, function(_, result)
    if asked ~= mine then
      return
    end
    asked = nil
    local items = result and (result.items or result) or {}
    local is_here = vim.api.nvim_get_current_buf() == bufnr and vim.deep_equal(cursor.here(), place)
    local is_same = is_here and vim.api.nvim_buf_get_changedtick(bufnr) == tick
    if #items > 0 and is_same and cursor.is_inserting() then
      clear()
      shown = { bufnr = bufnr, place = place, client_id = client.id, items = items, index = 1 }
      draw()
    end
  end, bufnr)
end

local function moved()
  timer:stop()
  if is_on and not draw() then
    timer:start(PAUSE_MS, 0, vim.schedule_wrap(function()
      if cursor.is_inserting() then
        ask(AUTOMATIC)
      end
    end))
  end
end

function M.begin()
  is_on = true
  if timer then
    return
  end
  timer = assert(vim.uv.new_timer())
  vim.api.nvim_set_hl(0, 'UnmaskGhost', { link = 'NonText', default = true })
  local group = vim.api.nvim_create_augroup('unmask.ghost', {})
  local events = { 'InsertEnter', 'CursorMovedI', 'TextChangedI', 'TextChangedP' }
  vim.api.nvim_create_autocmd(events, { group = group, callback = moved })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    callback = function()
      M.dismiss()
    end,
  })
end

--- Whether a buffer gets ghost text of a client.
function M.is_on(_)
  return is_on
end

--- Turns it on or off.
function M.turn(on, _)
  M.dismiss()
  is_on = on
end

--- Hands over the suggestion that is shown, as `text`, its `place`, and its command, and hides it; false without one.
function M.take(accept)
  local rest, item = rest_of_shown()
  if not rest then
    return false
  end
  local taken = { text = item.insertText, place = shown.place }
  taken.command, taken.client_id = item.command, shown.client_id
  -- a mapping with <expr> may not change the text
  vim.schedule(function()
    clear()
    accept(taken)
  end)
  return true
end

--- Shows the one that is so many behind the one that is shown.
function M.select(count)
  if rest_of_shown() then
    shown.index = (shown.index - 1 + count) % #shown.items + 1
    draw((' (%d/%d)'):format(shown.index, #shown.items))
  end
end

--- Hides what is shown, and asks for nothing until the next key; false when nothing is shown.
function M.dismiss()
  local is_shown = rest_of_shown() ~= nil
  clear()
  shown = nil
  if timer then
    timer:stop()
  end
  if asked and asked.number and not lsp.is_stopped(asked.client) then
    lsp.cancel(asked.client, asked.number)
  end
  asked = nil
  return is_shown
end

--- Asks by hand; false where it is off.
function M.ask_by_hand(_)
  if is_on then
    M.dismiss()
    ask(INVOKED)
  end
  return is_on
end

return M
