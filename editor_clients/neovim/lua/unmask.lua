-- Takes the ghost text that vim.lsp.inline_completion shows, or a part of it. Each function returns false without one:
--   vim.keymap.set('i', '<Tab>', function() if not require('unmask').accept() then return '<Tab>' end end, { expr = true })
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

--- Inserts what `part_of` returns for the rest of the suggestion.
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

--- Accepts all of it.
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

--- Offers nothing unasked for some minutes (ten when none are named); 0 ends that.
function M.snooze(minutes)
  for _, client in ipairs(vim.lsp.get_clients({ name = 'unmask' })) do
    client:exec_cmd({ title = 'Snooze', command = 'unmask.snooze', arguments = { minutes } })
  end
end

return M
