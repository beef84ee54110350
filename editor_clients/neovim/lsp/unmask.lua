-- `:help unmask-install` says what goes into init.lua; lua/unmask/lsp.lua reads this where Neovim does not.
local lsp = require('unmask.lsp')
local server = require('unmask.server')

-- Neovim itself starts nothing then, and says nothing
vim.schedule(function()
  -- asked first: until it is enabled each look at the configuration reads this file again
  local cmd = lsp.is_enabled() and lsp.config().cmd
  if type(cmd) == 'table' and vim.fn.executable(cmd[1]) == 0 then
    local what = "unmask: '%s' is not on the PATH of Neovim: install it, or name it by its whole path in "
      .. "require('unmask').setup({ cmd = { '/…/unmask', 'lsp' } })"
    vim.notify_once(what:format(cmd[1]), vim.log.levels.WARN)
  end
end)

--- Where the cursor rests the model reads before anybody asks.
local function tell_moves(client, bufnr)
  local function tell()
    if vim.api.nvim_get_current_buf() == bufnr then
      lsp.notify(client, 'unmask/didMoveCursor', lsp.cursor(client))
    end
  end
  vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorMoved', 'InsertEnter' }, {
    buffer = bufnr,
    callback = function()
      -- ends with the server, as a restart begins another
      if not client.attached_buffers[bufnr] then
        return true
      end
      tell()
    end,
  })
  tell()
end

-- no `on_attach`, which is the user's own, for this server or for all: of two Neovim takes one
vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('unmask.attached', {}),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'unmask' then
      lsp.follow(client)
      tell_moves(client, event.buf)
    end
  end,
})

return {
  cmd = { 'unmask', 'lsp' },
  -- by these the folder is found whose .gitignore and .unmaskignore count, and where imports are looked up
  root_markers = { '.git', { 'pyproject.toml', 'setup.py', 'package.json', 'go.mod', 'Cargo.toml', 'pom.xml' } },
  filetypes = {
    'bash', 'bzl', 'c', 'clojure', 'commonlisp', 'cpp', 'crystal', 'cs', 'css', 'cuda', 'dart', 'dockerfile',
    'elisp', 'elixir', 'emacs-lisp', 'fennel', 'go', 'groovy', 'html', 'java', 'javascript', 'javascriptreact',
    'json', 'jsonc', 'julia', 'kotlin', 'less', 'lisp', 'lua', 'make', 'markdown', 'objc', 'objcpp', 'perl', 'php',
    'python', 'r', 'racket', 'ruby', 'rust', 'scala', 'scheme', 'scss', 'sh', 'sql', 'svelte', 'swift', 'tex',
    'toml', 'typescript', 'typescriptreact', 'vue', 'xml', 'yaml', 'zig', 'zsh',
  },
  handlers = {
    didChangeStatus = function(_, status, context)
      server.take_status(context.client_id, status)
    end,
    ['unmask/denoising'] = function(_, step)
      require('unmask.watch').show(step)
    end,
  },
  -- as Neovim itself does from 0.11 on; there an `on_init` of all servers' is the user's, and not replaced
  on_init = vim.fn.has('nvim-0.11') == 0 and function(client, result)
    client.server_info = result.serverInfo
  end or nil,
}
