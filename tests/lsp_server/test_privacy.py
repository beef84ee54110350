import os

import pytest

from lsp_server.privacy import Privacy


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "src" / "inner").mkdir(parents=True)
    return tmp_path


def uri(workspace, name):
    return (workspace / name).as_uri()


@pytest.mark.parametrize(
    "name",
    [
        ".env", "src/.env.local", "server.pem", "a/b/tls.key", "id_rsa", "id_ed25519.pub", ".aws/credentials",
        ".ssh/config", "deploy/secrets/db.yaml", "prod.tfvars", ".npmrc", "service-account-7.json",
    ],
)  # fmt: skip
def test_secret_files_are_neither_completed_nor_shown(workspace, name):
    privacy = Privacy([workspace])
    assert not privacy.may_complete(uri(workspace, name))
    assert not privacy.may_show(uri(workspace, name))
    assert not Privacy([]).may_complete(f"file:///elsewhere/{name}")


@pytest.mark.parametrize("name", ["a.py", ".env.example", "src/secrets/store.go", "credentials.py", "key.py", "env.py"])
def test_ordinary_files_are_both(workspace, name):
    privacy = Privacy([workspace])
    assert privacy.may_complete(uri(workspace, name))
    assert privacy.may_show(uri(workspace, name))


def test_a_link_to_a_secret_is_a_secret(workspace):
    (workspace / ".env").write_text("A=1")
    (workspace / "settings.py").symlink_to(workspace / ".env")
    assert not Privacy([workspace]).may_complete(uri(workspace, "settings.py"))


def test_git_ignored_files_are_worked_in_but_not_shown(workspace):
    (workspace / ".gitignore").write_text("local_*.py\nbuild/\n!local_ok.py\n")
    privacy = Privacy([workspace])
    for name, shown in (("local_a.py", False), ("local_ok.py", True), ("build/x.py", False), ("a.py", True)):
        assert privacy.may_complete(uri(workspace, name))
        assert privacy.may_show(uri(workspace, name)) == shown


def test_our_own_ignore_file_forbids_both_and_the_nearest_decides(workspace):
    (workspace / ".unmaskignore").write_text("src/\n*.sql\n")
    (workspace / "src" / "inner" / ".unmaskignore").write_text("!*.py\n")
    privacy = Privacy([workspace])
    assert not privacy.may_complete(uri(workspace, "src/a.py"))
    assert not privacy.may_complete(uri(workspace, "q.sql"))
    assert privacy.may_complete(uri(workspace, "src/inner/a.py"))
    assert not privacy.may_show(uri(workspace, "src/a.py"))


def test_a_changed_ignore_file_counts_at_once(workspace):
    privacy = Privacy([workspace])
    assert privacy.may_complete(uri(workspace, "a.py"))
    (workspace / ".unmaskignore").write_text("a.py\n")
    assert not privacy.may_complete(uri(workspace, "a.py"))


def test_ignore_files_that_are_no_plain_files_or_too_large_are_not_read(workspace):
    (workspace / "real").write_text("*\n")
    (workspace / ".unmaskignore").symlink_to(workspace / "real")
    os.mkfifo(workspace / "src" / ".unmaskignore")
    (workspace / "src" / "inner" / ".unmaskignore").write_text("*\n" * 200_000)
    privacy = Privacy([workspace])
    for name in ("a.py", "src/a.py", "src/inner/a.py"):
        assert privacy.may_complete(uri(workspace, name))


@pytest.mark.parametrize(
    "other",
    ["untitled:Untitled-1", "vscode-notebook-cell:/a.ipynb#x", "", "file://", "a b%zz", "file:///%00", "file://[x"],
)
def test_odd_uris_are_answered(workspace, other):
    assert Privacy([workspace]).may_complete(other)
    assert not Privacy([workspace]).may_complete("untitled:.env")
