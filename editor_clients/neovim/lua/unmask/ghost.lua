-- What keys do with ghost text, which vim.lsp.inline_completion draws and this takes a part of.
local server = require('unmask.server')

local M = {}

--- The text from where the suggestion begins up to the cursor, when one was typed along it; nil when it no longer fits.
local function typed_since(text, row, column)
  local at = vim.api.nvim_win_get_cursor(0)
  if at[1] - 1 < row or (at[1] - 1 == row and at[2] < column) then
    return nil
  end
  local typed = table.concat(vim.api.nvim_buf_get_text(0, row, column, at[1] - 1, at[2], {}), '\n')
  return vim.startswith(text, typed) and typed or nil
end

local function insert(text)
  local at = vim.api.nvim_win_get_cursor(0)
  local lines = vim.split(text, '\n')
  vim.api.nvim_buf_set_text(0, at[1] - 1, at[2], at[1] - 1, at[2], lines)
  local column = (#lines == 1 and at[2] or 0) + #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { at[1] + #lines - 1, column })
end

--- Inserts what `part_of` returns for the rest of the suggestion; false without one.
local function accept(part_of)
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      local text = item.insert_text
      local row, column = item.range:to_extmark()
      -- what was typed since the suggestion came is not inserted again
      local typed = typed_since(text, row, column)
      if typed == nil then
        return nil
      end
      local rest = text:sub(#typed + 1)
      local part = part_of(rest)
      insert(part)
      if part == rest and item.command then
        local client = vim.lsp.get_client_by_id(item.client_id)
        if client then
          client:exec_cmd(item.command, { bufnr = vim.api.nvim_get_current_buf() })
        end
      end
      return nil
    end,
  })
end

--- Accepts all of it; false without ghost text, as are the next two.
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

--- Shows the next of several suggestions; the first again behind the last one.
function M.next()
  vim.lsp.inline_completion.select({ count = 1 })
end

--- Shows the one before.
function M.previous()
  vim.lsp.inline_completion.select({ count = -1 })
end

--- What requests inline completions of a buffer; nil where they are off. Neovim 0.12 has no public way to ask by hand.
local function completor_of(bufnr)
  local found, capability = pcall(require, 'vim.lsp._capability')
  local kind = found and capability.all and capability.all.inline_completion
  local completor = kind and kind.active[bufnr]
  return completor and completor.request and completor.abort and completor or nil
end

local function request_by_hand(bufnr)
  local completor = completor_of(bufnr)
  if not completor then
    server.say('inline completion is off in this buffer; :Unmask toggle turns it on', vim.log.levels.WARN)
    return
  end
  -- an automatic request that is still to come would take the place of this one
  completor:abort()
  completor:request(vim.lsp.protocol.InlineCompletionTriggerKind.Invoked)
end

--- Asks now, whatever the preset: up to three suggestions, a block on a blank line. Begins to insert where one does not.
function M.trigger()
  local bufnr = vim.api.nvim_get_current_buf()
  if not server.client_of(bufnr) then
    return
  end
  if vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    request_by_hand(bufnr)
    return
  end
  vim.api.nvim_create_autocmd('InsertEnter', {
    buffer = bufnr,
    once = true,
    callback = vim.schedule_wrap(function()
      request_by_hand(bufnr)
    end),
  })
  local at_end = vim.api.nvim_win_get_cursor(0)[2] + 1 >= #vim.api.nvim_get_current_line()
  vim.cmd.startinsert({ bang = at_end })
end

return M
