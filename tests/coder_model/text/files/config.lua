-- It's a configuration (small).
local M = {}

--[[ defaults (
]]
M.defaults = { width = 80, names = { "a", 'it"s' }, text = [[ ( ]] }

function M.setup(options)
  M.options = vim.tbl_extend("force", M.defaults, options or {})
  for _, name in ipairs(M.options.names) do
    vim.keymap.set("n", "<leader>" .. name, function()
      print(string.format("%s (%d)", name, #name))
    end, { desc = "say " .. name })
  end
end

return M
