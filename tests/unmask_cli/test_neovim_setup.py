import subprocess
import sys

import pytest
from neovim import CLIENT, find_neovim

from coder_model.types import InvalidInput
from unmask_cli import neovim_setup
from unmask_cli.own_text import OwnText

IMPORTS = (
    'require("lazy").setup({ spec = { { "LazyVim/LazyVim", import = "lazyvim.plugins" }, { import = "my.specs" } } })\n'
)


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("NVIM_APPNAME", raising=False)
    monkeypatch.setattr(neovim_setup, "program", lambda: "/opt/it's/unmask")
    made = tmp_path / "config" / "nvim"
    made.mkdir(parents=True)
    return made


def place():
    told = neovim_setup.neovim_additions()
    (found,) = told.additions
    return found, told.remark


def write(tmp_path):
    found, _ = place()
    return OwnText("nvim", tmp_path / "setup.json").write(found)


def test_without_neovim_it_is_said(config, monkeypatch):
    config.rmdir()
    monkeypatch.setenv("PATH", "")
    missing = neovim_setup.neovim_additions().missing
    assert missing == f"found no Neovim: neither nvim on the PATH nor {config}"


def test_the_lines_go_behind_what_init_lua_holds(config, tmp_path):
    (config / "init.lua").write_bytes(b"vim.o.number = true")
    write(tmp_path)
    lines = (config / "init.lua").read_text().splitlines()
    assert lines[0] == "vim.o.number = true"
    assert lines[1] == ""
    assert lines[3:] == [
        f"vim.opt.runtimepath:prepend('{CLIENT}')",
        "vim.cmd.runtime('plugin/unmask.lua')",
        r"require('unmask').setup({ cmd = { '/opt/it\'s/unmask', 'lsp' } })",
    ]


def test_another_name_of_the_configuration_counts(config, monkeypatch):
    monkeypatch.setenv("NVIM_APPNAME", "other")
    assert neovim_setup.config_folder() == config.with_name("other")


def test_line_ends_of_windows_stay(config, tmp_path):
    (config / "init.lua").write_bytes(b"vim.o.number = true\r\n")
    write(tmp_path)
    text = (config / "init.lua").read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n") == 6


@pytest.mark.parametrize("where", ["init.lua", "lua/config/lazy.lua"])
@pytest.mark.parametrize(
    ("spec", "folder"),
    [
        (IMPORTS, "my/specs"),
        ("require('lazy').setup('plugins', {})\n", "plugins"),
        ("require'lazy'.setup 'plugins'\n", "plugins"),
        ("local opts = { spec = { { import = 'my.specs' } } }\n", "my/specs"),
    ],
)
def test_where_lazy_imports_a_folder_a_file_is_put_there(config, tmp_path, where, spec, folder):
    for each in ("my/specs", "plugins"):
        (config / "lua" / each).mkdir(parents=True)
    (config / where).parent.mkdir(parents=True, exist_ok=True)
    (config / where).write_text("-- { import = 'other' }\n--[[ { import = 'plugins' } ]]\n" + spec)
    found, why = place()
    assert found.file == config / "lua" / folder / "unmask.lua"
    assert why == f"lazy.nvim reads every file of {config / 'lua' / folder}"
    write(tmp_path)
    assert f"dir = '{CLIENT}'" in found.file.read_text()
    assert neovim_setup.errors_in(found.file.read_text(), "lua") == 0


@pytest.mark.parametrize("spec", ["-- { import = 'plugins' },\n", "", "{ import = 'elsewhere' }\n"])
def test_a_folder_that_nothing_imports_is_not_taken(config, spec):
    (config / "lua" / "plugins").mkdir(parents=True)
    (config / "init.lua").write_text(spec)
    assert place()[0].file == config / "init.lua"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("if x then\n", "must be Lua without syntax errors"),
        ("local M = {}\nreturn M\n", "ends with a return"),
        ("return {} -- that is all\n-- really\n", "ends with a return"),
        ("require('unmask').setup({})\n", "sets unmask up already"),
        ('require "unmask"\n', "sets unmask up already"),
    ],
)
def test_an_init_lua_that_cannot_be_changed_safely_stays(config, tmp_path, content, complaint):
    (config / "init.lua").write_text(content)
    with pytest.raises(InvalidInput, match=complaint):
        write(tmp_path)
    assert (config / "init.lua").read_text() == content
    assert [file.name for file in config.iterdir()] == ["init.lua"]


@pytest.mark.parametrize(
    "content", ["-- require('unmask').setup()\n", "if vim.g.vscode then return end\n", "--[[ require('unmask') ]]"]
)
def test_comments_and_early_ends_are_no_hindrance(config, tmp_path, content):
    (config / "init.lua").write_text(content)
    assert "written" in write(tmp_path)
    assert neovim_setup.errors_in((config / "init.lua").read_text(), "lua") == 0


def test_beside_an_init_vim_there_must_be_no_init_lua(config, tmp_path):
    (config / "init.vim").write_text("set number\n")
    found, _ = place()
    assert found.shown.startswith("lua << EOF\n")
    assert found.shown.endswith("\nEOF\n")
    with pytest.raises(InvalidInput, match="is a script that is not changed from outside"):
        write(tmp_path)
    assert [file.name for file in config.iterdir()] == ["init.vim"]


def test_a_spec_of_the_users_own_stays(config, tmp_path):
    (config / "init.lua").write_text("require('lazy').setup('plugins')")
    (config / "lua" / "plugins").mkdir(parents=True)
    (config / "lua" / "plugins" / "unmask.lua").write_text("return {}\n")
    with pytest.raises(InvalidInput, match="is there already, and is not ours"):
        write(tmp_path)


@pytest.mark.parametrize("loads", ["", "vim.go.loadplugins = false\n"], ids=["by Neovim", "as lazy.nvim leaves it"])
def test_the_real_neovim_reads_what_was_written(config, tmp_path, monkeypatch, loads):
    neovim = find_neovim()
    if not neovim:
        pytest.skip("needs Neovim 0.12 or newer in tools/nvim, in $UNMASK_NVIM or on the PATH")
    monkeypatch.setattr(neovim_setup, "program", lambda: sys.executable)
    (config / "init.lua").write_text(loads)
    write(tmp_path)
    for name in ("DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    show = "lua print(vim.fn.exists(':Unmask'), vim.lsp.is_enabled('unmask'), vim.lsp.config.unmask.cmd[1])"
    done = subprocess.run([neovim, "--headless", "-c", show, "-c", "qa!"], capture_output=True, text=True, check=False)
    assert (done.stderr + done.stdout).split() == ["2", "true", sys.executable]
