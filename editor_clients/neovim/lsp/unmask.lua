-- Neovim 0.12 or newer: copy lsp/ and lua/ to ~/.config/nvim/; the README says what goes into init.lua.
return {
  cmd = { 'unmask', 'lsp' },
  filetypes = {
    'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'lua',
    'c', 'cpp', 'java', 'sh', 'markdown',
  },
}
