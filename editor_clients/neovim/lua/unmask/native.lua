-- Ghost text as Neovim 0.12 has it: vim.lsp.inline_completion asks and draws. The same functions as own.lua.
local cursor = require('unmask.cursor')
local lsp = require('unmask.lsp')

local M = {}

local INVOKED = 1

--- What requests inline completions of a buffer; nil where they are off. Neovim 0.12 has no public way to ask by hand.
local function completor_of(bufnr)
  local found, capability = pcall(require, 'vim.lsp._capability')
  local kind = found and capability.all and capability.all.inline_completion
  local completor = kind and kind.active[bufnr]
  return completor and completor.request and completor.automatic_request and completor.abort and completor or nil
end

--- Whether a suggestion is of our server, which may be gone: that of another one Neovim shows and takes as it does.
local function is_ours(item)
  local client = vim.lsp.get_client_by_id(item.client_id)
  return client == nil or client.name == 'unmask'
end

--- Hides what no longer fits at the cursor: Neovim goes on showing it until the next answer, and takes the key for it.
local function hide_what_does_not_fit()
  local bufnr = vim.api.nvim_get_current_buf()
  local completor = completor_of(bufnr)
  local item = completor and completor.current
  if item and is_ours(item) then
    local place = lsp.place_of_answer(bufnr)
    local typed = place and cursor.typed_since(item.insert_text, place)
    if typed == nil or typed == item.insert_text then
      completor.current = nil
      completor:hide()
    end
  end
end

--- The same, and asks anew, after a change for which Neovim does not: one that moves no cursor, as that of <Del>.
local function changed()
  hide_what_does_not_fit()
  local completor = completor_of(vim.api.nvim_get_current_buf())
  if completor then
    completor:automatic_request()
  end
end

function M.begin()
  vim.lsp.inline_completion.enable()
  local group = vim.api.nvim_create_augroup('unmask.ghost', {})
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedP' }, { group = group, callback = hide_what_does_not_fit })
  vim.api.nvim_create_autocmd('TextChangedI', { group = group, callback = changed })
  vim.api.nvim_create_autocmd('BufLeave', {
    group = group,
    callback = function()
      M.dismiss()
    end,
  })
end

--- Whether a buffer gets ghost text of a client.
function M.is_on(client)
  return vim.lsp.inline_completion.is_enabled({ client_id = client.id, bufnr = 0 })
end

--- Turns it on or off for some clients, and off for those that come later.
function M.turn(on, clients)
  -- Neovim knows no more what an answer that is on its way is for
  M.dismiss()
  if on and not vim.lsp.inline_completion.is_enabled({ bufnr = 0 }) then
    vim.lsp.inline_completion.enable()
  end
  for _, client in ipairs(clients) do
    vim.lsp.inline_completion.enable(on, { client_id = client.id })
  end
  local group = vim.api.nvim_create_augroup('unmask.off', {})
  if not on then
    vim.api.nvim_create_autocmd('LspAttach', {
      group = group,
      callback = function(event)
        local client = vim.lsp.get_client_by_id(event.data.client_id)
        if client and client.name == 'unmask' then
          vim.lsp.inline_completion.enable(false, { client_id = client.id })
        end
      end,
    })
  end
end

--- Hands over the suggestion that is shown, as `text`, its `place`, and its command, and hides it; false without one.
function M.take(accept)
  hide_what_does_not_fit()
  local bufnr = vim.api.nvim_get_current_buf()
  local completor = completor_of(bufnr)
  local item = completor and completor.current
  if not item or not is_ours(item) then
    return vim.lsp.inline_completion.get()
  end
  local taken = { text = item.insert_text, place = lsp.place_of_answer(bufnr) }
  taken.command, taken.client_id = item.command, item.client_id
  -- an answer that comes before the text is taken would be another one
  completor:abort()
  -- a mapping with <expr> may not change the text
  vim.schedule(function()
    accept(taken)
  end)
  return true
end

--- Shows the one that is so many behind the one that is shown.
function M.select(count)
  vim.lsp.inline_completion.select({ count = count })
end

--- Hides what is shown, and asks for nothing until the next key; false when nothing is shown.
function M.dismiss()
  local completor = completor_of(vim.api.nvim_get_current_buf())
  local is_shown = completor ~= nil and completor.current ~= nil
  if completor then
    completor:abort()
  end
  return is_shown
end

--- Asks by hand; false where it is off.
function M.ask_by_hand(bufnr)
  local completor = completor_of(bufnr)
  if completor then
    -- an automatic request that is still to come would take the place of this one
    completor:abort()
    completor:request(INVOKED)
  end
  return completor ~= nil
end

return M
