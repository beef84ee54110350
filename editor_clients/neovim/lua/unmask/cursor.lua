-- What stands at the cursor, and inserting there.
local M = {}

--- The text from a place up to the cursor when `text` begins with it, as it does for who types along; else nil.
function M.typed_since(text, row, column)
  local at = vim.api.nvim_win_get_cursor(0)
  if at[1] - 1 < row or (at[1] - 1 == row and at[2] < column) then
    return nil
  end
  -- the line may have become shorter meanwhile
  local is_there, lines = pcall(vim.api.nvim_buf_get_text, 0, row, column, at[1] - 1, at[2], {})
  local typed = is_there and table.concat(lines, '\n')
  return typed and vim.startswith(text, typed) and typed or nil
end

--- Inserts a text, and puts the cursor behind it.
function M.insert(text)
  local at = vim.api.nvim_win_get_cursor(0)
  local lines = vim.split(text, '\n')
  -- one undo takes it away, and leaves what was typed before
  vim.go.undolevels = vim.go.undolevels
  vim.api.nvim_buf_set_text(0, at[1] - 1, at[2], at[1] - 1, at[2], lines)
  local column = (#lines == 1 and at[2] or 0) + #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { at[1] + #lines - 1, column })
end

--- Lets what is scheduled be done now: in a mapping, before what was typed behind its key.
function M.settle()
  local is_done = false
  vim.schedule(function()
    is_done = true
  end)
  vim.wait(1000, function()
    return is_done
  end)
end

function M.is_inserting()
  return vim.startswith(vim.api.nvim_get_mode().mode, 'i')
end

--- The row, from 0, and the column where one would insert: of a cursor on the last character, as in normal mode, behind it.
function M.place()
  local at, line = vim.api.nvim_win_get_cursor(0), vim.api.nvim_get_current_line()
  local is_last = not M.is_inserting() and vim.fn.charcol('.') + 1 >= vim.fn.charcol('$')
  return at[1] - 1, is_last and #line or at[2]
end

--- Does something in insert mode, and begins to insert where one does not.
function M.when_inserting(act)
  if M.is_inserting() then
    return act()
  end
  vim.api.nvim_create_autocmd('InsertEnter', {
    buffer = vim.api.nvim_get_current_buf(),
    once = true,
    callback = vim.schedule_wrap(act),
  })
  local _, column = M.place()
  vim.cmd.startinsert({ bang = column == #vim.api.nvim_get_current_line() })
end

return M
