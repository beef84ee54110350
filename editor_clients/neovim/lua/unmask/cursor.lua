-- What stands at the cursor, and inserting there.
local M = {}

--- Where the cursor is, both from 0, and what stands before and behind it in its line.
function M.here()
  local at, line = vim.api.nvim_win_get_cursor(0), vim.api.nvim_get_current_line()
  return { row = at[1] - 1, column = at[2], before = line:sub(1, at[2]), behind = line:sub(at[2] + 1) }
end

--- The text from a place of `here` up to the cursor when `text` begins with it, as it does for who types along, and what
--- stood around the place still does; else nil.
function M.typed_since(text, place)
  local now = M.here()
  -- what is deleted behind the cursor moves it as little as the bracket that a plugin puts behind a typed one
  if now.row < place.row or now.behind ~= place.behind then
    return nil
  end
  local since = table.concat(vim.api.nvim_buf_get_text(0, place.row, 0, now.row, now.column, {}), '\n')
  local typed = vim.startswith(since, place.before) and since:sub(#place.before + 1)
  return typed and vim.startswith(text, typed) and typed or nil
end

--- Inserts a text, and puts the cursor behind it.
function M.insert(text)
  -- one undo takes it away, and leaves what was typed before
  vim.go.undolevels = vim.go.undolevels
  -- what is set by other functions `.` and a count do not repeat
  vim.api.nvim_paste(text, false, -1)
end

--- Lets what is scheduled be done now.
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
