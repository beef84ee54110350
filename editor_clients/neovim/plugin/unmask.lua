vim.api.nvim_create_user_command('Unmask', function(command)
  require('unmask.command').run(command)
end, {
  nargs = '*',
  range = true,
  desc = 'completion by diffusion: :help unmask',
  complete = function(...)
    return require('unmask.command').complete(...)
  end,
})
