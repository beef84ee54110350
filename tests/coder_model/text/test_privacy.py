import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.privacy import Privacy, found_root, ignore_rules


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
    assert not privacy.may("complete", uri(workspace, name))
    assert not privacy.may("show", uri(workspace, name))
    assert not Privacy([]).may("complete", f"file:///elsewhere/{name}")


@pytest.mark.parametrize("name", ["a.py", ".env.example", "src/secrets/store.go", "credentials.py", "key.py", "env.py"])
def test_ordinary_files_are_both(workspace, name):
    privacy = Privacy([workspace])
    assert privacy.may("complete", uri(workspace, name))
    assert privacy.may("show", uri(workspace, name))


def test_a_link_to_a_secret_is_a_secret(workspace):
    (workspace / ".env").write_text("A=1")
    (workspace / "settings.py").symlink_to(workspace / ".env")
    assert not Privacy([workspace]).may("complete", uri(workspace, "settings.py"))


def test_git_ignored_files_are_worked_in_but_not_shown(workspace):
    (workspace / ".gitignore").write_text("local_*.py\nbuild/\n!local_ok.py\n")
    privacy = Privacy([workspace])
    for name, shown in (("local_a.py", False), ("local_ok.py", True), ("build/x.py", False), ("a.py", True)):
        assert privacy.may("complete", uri(workspace, name))
        assert privacy.may("show", uri(workspace, name)) == shown


def test_our_own_ignore_file_forbids_both_and_the_nearest_decides(workspace):
    (workspace / ".unmaskignore").write_text("src/*.py\n*.sql\n")
    (workspace / "src" / "inner" / ".unmaskignore").write_text("!*.sql\n")
    privacy = Privacy([workspace])
    assert not privacy.may("complete", uri(workspace, "src/a.py"))
    assert not privacy.may("complete", uri(workspace, "q.sql"))
    assert privacy.may("complete", uri(workspace, "src/inner/q.sql"))
    assert not privacy.may("show", uri(workspace, "src/a.py"))


@pytest.mark.parametrize(
    ("above", "beside", "kept"),
    [
        ("src/\n!src/a.py\n", "", True),
        ("src/\n", "!a.py\n", True),
        ("src/*\n!src/a.py\n", "", False),
        ("src\n!src/\n", "", False),
    ],
)
def test_nothing_comes_back_of_a_folder_that_is_ignored_itself(workspace, above, beside, kept):
    (workspace / ".unmaskignore").write_text(above)
    (workspace / "src" / ".unmaskignore").write_text(beside)
    assert Privacy([workspace]).may("complete", uri(workspace, "src/a.py")) != kept


@pytest.mark.parametrize("odd", ["!", "foo\\", "[z-a]*.o", "[", "\x00", "\ud83d"], ids=repr)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=repr)
def test_an_odd_line_takes_nothing_from_the_others(workspace, odd, line_end):
    lines = ["a.py", odd, "c.py ", ""]
    (workspace / ".unmaskignore").write_bytes(b"\xef\xbb\xbf" + line_end.join(lines).encode("utf-8", "surrogatepass"))
    privacy = Privacy([workspace])
    assert [privacy.may("complete", uri(workspace, name)) for name in ("a.py", "b.py", "c.py")] == [False, True, False]


def test_lines_that_are_no_patterns_are_counted_in_the_log(caplog):
    ignore_rules(b"a.py\n\n# said\n!\n[z-a]\n")
    assert [record.getMessage() for record in caplog.records] == [
        "2 lines of an ignore file are no patterns and count for nothing"
    ]


@pytest.mark.parametrize(
    "pattern", ["[[:alpha:]].py", "[[:lower:][:digit:]].py", "[![:digit:]].py", "[[:alpha:]_].p[[:alnum:]]"]
)
def test_classes_of_characters_are_known(workspace, pattern, recwarn):
    (workspace / ".unmaskignore").write_text(pattern + "\n")
    assert not Privacy([workspace]).may("complete", uri(workspace, "a.py"))
    assert not recwarn.list


@given(st.lists(st.text(st.sampled_from("!#*?[]^-/\\ab.:\r\t \ufeff"), max_size=8), max_size=6))
def test_any_ignore_file_is_read(lines):
    spec = ignore_rules("\n".join([*lines, "kept.py"]).encode())
    assert spec.check_file("kept.py").include


def test_a_link_is_kept_back_by_its_own_name_too(workspace):
    (workspace / "src" / "real.py").write_text("")
    (workspace / "a.py").symlink_to(workspace / "src" / "real.py")
    (workspace / ".unmaskignore").write_text("/a.py\n")
    assert not Privacy([workspace]).may("complete", uri(workspace, "a.py"))


def test_a_changed_ignore_file_counts_at_once(workspace):
    privacy = Privacy([workspace])
    assert privacy.may("complete", uri(workspace, "a.py"))
    (workspace / ".unmaskignore").write_text("a.py\n")
    assert not privacy.may("complete", uri(workspace, "a.py"))


@pytest.mark.parametrize(("ignore_file", "use"), [(".unmaskignore", "complete"), (".gitignore", "show")])
@pytest.mark.parametrize("odd", ["link", "fifo", "folder", "large"])
def test_where_an_ignore_file_cannot_be_read_our_own_keeps_back_all_below(workspace, ignore_file, use, odd):
    file = workspace / "src" / ignore_file
    match odd:
        case "link":
            file.symlink_to(workspace / "real")
        case "fifo":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "large":
            file.write_text("none\n" * 200_000)
    privacy = Privacy([workspace])
    assert privacy.may(use, uri(workspace, "a.py"))
    for name in ("src/a.py", "src/inner/a.py"):
        assert privacy.may(use, uri(workspace, name)) == (ignore_file == ".gitignore")


@pytest.mark.parametrize(
    "other",
    ["untitled:Untitled-1", "vscode-notebook-cell:/a.ipynb#x", "", "file://", "a b%zz", "file:///%00", "file://[x"],
)
def test_odd_uris_are_answered(workspace, other):
    assert Privacy([workspace]).may("complete", other)
    assert not Privacy([workspace]).may("complete", "untitled:.env")


SECRET_NAMES = [
    name.replace("STEM", stem)
    for stem in ("a", "server", "prod", "my key", "x.y", "Zertifikat-ä", "1", "api_v2", "team+1", "home")
    for name in (
        *("STEM.pem", "STEM.key", "STEM.p12", "STEM.pfx", "STEM.jks", "STEM.keystore", "STEM.kdbx", "STEM.ovpn"),
        *("STEM.tfstate", "STEM.tfvars", ".env.STEM", "STEM/.env", "STEM/.netrc", "STEM/.npmrc", "STEM/.pypirc"),
        *("STEM/.ssh/config", "STEM/.aws/credentials", "STEM/.kube/config", "STEM/.gnupg/STEM", "STEM/id_rsa"),
        *("STEM/id_ed25519.pub", "STEM/credentials.json", "STEM/secrets.yaml", "secrets/STEM.json", "STEM/.htpasswd"),
        *("STEM/.git-credentials", "STEM/.docker/config.json", "STEM/.pgpass", "service-account-STEM.json"),
        "STEM.tfstate.backup",
    )
]
FORMS = [
    "file:///work/{name}",
    "file:///c%3A/work/{name}",
    "file://server/share/{name}",
    "git:/work/{name}?%7B%22path%22%3A%22%2Fwork%2Fa.py%22%2C%22ref%22%3A%22HEAD%22%7D",
    "git:/work/{name}.git?%7B%22ref%22%3A%22%22%7D",
    "git:/work/a.py?%7B%22path%22%3A%22%2Fwork%2F{name}%22%7D",
    "gitlens://0a1b/work/{name}?%7B%22ref%22%3A%220a1b%22%7D",
    "vscode-notebook-cell:/work/{name}#W0sZmlsZQ%3D%3D",
    "vscode-remote://ssh-remote%2Bhost/work/{name}",
    "vscode-vfs://github/owner/project/{name}",
    "untitled:{name}",
    "untitled:/work/{name}",
    "fugitive:///work/.git//0/{name}",
    "diffview:///work/.git/0a1b/{name}",
    "jar:file:///work/a.jar!/{name}",
    "zipfile:///work/a.zip::{name}",
    "review:/work/{name}?commit=1#L3",
    "/work/{name}",
    "FILE:///work/{name}",
    "file:///work/{name}%20",
    "file:///work/{name} ",
    "file:///work/{name}.",
    "file:///work/{name}%00",
    "file:///work/{name}%2520",
    "file:///work/{name}%EF%BB%BF",
    "file:///work/\u202e{name}",
    "file:///work/{name}~",
    "file:///work/{name}.bak.2",
    "file:///work/{name}%20copy",
    "file:///work//{name}",
    "file:///work/{name}  -  copy",
    "file:///work/{name}\t (2)//",
    "file:///work/{name} (Working Tree)",
    "tar:///work/a.tar!{name}",
    "term://work//123:vim {name}",
    "man://{name}",
    "c:\\work\\{name}",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encode", [str, quote, lambda name: quote(quote(name)), str.upper])
def test_a_secret_name_is_known_whatever_stands_around_it(form, encode):
    privacy = Privacy([])
    assert len(SECRET_NAMES) == 300
    seen = [name for name in SECRET_NAMES if privacy.may("complete", form.replace("{name}", encode(name)))]
    assert seen == []


@pytest.mark.parametrize("form", ["._{}", ".#{}", "#{}#", ".{}.swp", ".{}.swo", "~${}"])
def test_what_tools_put_beside_a_secret_is_one(form):
    for name in ("server.pem", ".env", "id_rsa", "credentials.json", "prod.tfvars"):
        assert not Privacy([]).may("complete", f"file:///work/{form.format(name)}")
    for name in ("a.py", "main.rs", "keys.ts"):
        assert Privacy([]).may("complete", f"file:///work/{form.format(name)}")


@pytest.mark.parametrize("name", ["prod.env", ".envrc", "login.ppk", ".my.cnf", ".vault-token", ".s3cfg"])
def test_files_of_settings_that_hold_keys_are_secrets(name):
    assert not Privacy([]).may("complete", f"file:///work/{name}")


@pytest.mark.parametrize("form", FORMS)
def test_other_names_are_completed_whatever_stands_around_them(form):
    privacy = Privacy([])
    for name in ("a.py", "keys.ts", "environment.go", "monkey.rs", ".env.example", "secret_santa.lua", "src/key.c"):
        assert privacy.may("complete", form.replace("{name}", name)), name


def test_an_ignore_file_beside_the_document_counts_without_a_folder(tmp_path):
    (tmp_path / ".unmaskignore").write_text("private.py\n")
    privacy = Privacy([])
    for scheme in ("file://", "git:", "diffview://"):
        assert not privacy.may("complete", f"{scheme}{tmp_path}/private.py")
        assert privacy.may("complete", f"{scheme}{tmp_path}/public.py")


def test_folders_come_and_go(tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / ".gitignore").write_text("private.py\n")
    uri = f"file://{tmp_path}/two/private.py"
    privacy = Privacy([])
    assert privacy.may("show", uri)
    privacy.roots = [tmp_path / "two"]
    assert not privacy.may("show", uri)
    privacy.roots = []
    assert privacy.may("show", uri)


def test_a_project_is_found_by_its_repository_before_its_files(tmp_path):
    inner = tmp_path / "packages" / "web"
    (inner / "src").mkdir(parents=True)
    file = inner / "src" / "a.ts"
    (inner / "package.json").write_text("{}")
    assert found_root(file) == inner
    (tmp_path / ".git").mkdir()
    assert found_root(file) == tmp_path
    (tmp_path / ".gitignore").write_text("src/\n")
    assert not Privacy([]).may("show", file)
    assert Privacy([inner]).may("show", file)


def test_an_objection_names_the_rule(tmp_path):
    (tmp_path / ".unmaskignore").write_text("b.py\n")
    assert Privacy([]).objection("complete", tmp_path / ".env") == "its name is that of a file with secrets"
    assert Privacy([]).objection("complete", tmp_path / "b.py") == ".unmaskignore names it"
    assert Privacy([]).objection("complete", tmp_path / "odd # name.py") == ""


@pytest.mark.parametrize("name", ["a, b " * 100 + ".bak", ".bak" * 100, "a.py" + "~" * 100])
def test_a_name_of_more_than_any_file_has_is_kept_back(name):
    assert not Privacy([]).may("complete", name)


def test_a_name_of_many_words_is_an_ordinary_one():
    name = "/Work (2024), all of it/What was said, and by whom; a draft - copy (2).py.bak.orig"
    assert Privacy([]).may("complete", name)


@pytest.mark.parametrize("run", [" ", "/", ".", ";"])
def test_a_long_run_is_one_of_its_characters(run):
    """An ending was looked for at each of them, and at each of those that follow: one name took minutes."""
    assert Privacy([]).may("complete", f"/work/a{run * 400}b.py.bak")
    assert not Privacy([]).may("complete", f"/work/a{run * 400}b.pem.bak")


def test_of_a_long_uri_nothing_is_looked_for():
    assert not Privacy([]).may("complete", "git:/a.py?" + ":" * 1_000_000)
