-- Neovim 0.12 or newer: copy lsp/ and lua/ to ~/.config/nvim/; the README says what goes into init.lua.
return {
  cmd = { 'unmask', 'lsp' },
  filetypes = {
    'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'lua',
    'c', 'cpp', 'java', 'sh', 'markdown',
  },
  -- where the cursor rests the model reads before anybody asks
  on_attach = function(client, bufnr)
    local function tell()
      if vim.api.nvim_get_current_buf() == bufnr then
        client:notify('unmask/didMoveCursor', vim.lsp.util.make_position_params(0, client.offset_encoding))
      end
    end
    vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorMoved', 'InsertEnter' }, { buffer = bufnr, callback = tell })
    tell()
  end,
}
