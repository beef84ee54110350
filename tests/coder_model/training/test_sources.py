import json
import subprocess

import pytest

from coder_model.errors import CorpusError
from coder_model.training.sources import Source, in_folders, listed

FILES = {"LICENSE": "MIT License\n", "a.py": "x = 1\n", "sub/b.py": "y = 2\n", "sub/é.py": "z = 3\n"}


def git(*arguments, cwd):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path):
    project = tmp_path / "projects" / "one"
    for path, text in FILES.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return project


@pytest.fixture
def repository(folder, tmp_path):
    """A bare repository whose first commit holds FILES, and whose second one does not."""
    git("init", cwd=folder)
    git("add", ".", cwd=folder)
    git("commit", "-m", "first", cwd=folder)
    (folder / "a.py").write_text("x = 9\n")
    git("commit", "-am", "second", cwd=folder)
    git("clone", "--bare", str(folder), str(tmp_path / "bare"), cwd=tmp_path)
    return tmp_path / "bare"


def python_files(source):
    return dict(source.files(lambda path: path.endswith(".py")))


def test_a_folder_and_a_commit_give_the_same_files(folder, repository):
    expect = {path: text.encode() for path, text in FILES.items() if path.endswith(".py")}
    assert python_files(Source("one", repository, commit="HEAD~1")) == expect
    assert python_files(Source("one", repository))["a.py"] == b"x = 9\n"
    (folder / "a.py").write_text(FILES["a.py"])
    assert python_files(Source("one", folder)) == expect


def test_links_are_not_followed(folder, tmp_path):
    (tmp_path / "secret.py").write_text("password = 1\n")
    (folder / "link.py").symlink_to(tmp_path / "secret.py")
    assert "link.py" not in python_files(Source("one", folder))


def test_a_missing_commit_is_named(repository):
    with pytest.raises(CorpusError, match="must hold what the list says"):
        python_files(Source("one", repository, commit="0" * 40))


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("Apache License\nVersion 2.0", "Apache-2.0"),
        ("Redistribution and use in source\nand binary forms, with", "BSD"),
        ("GNU GENERAL PUBLIC LICENSE\nPermission is hereby granted, free of charge\n", "GPL family"),
        ("PSF LICENSE AGREEMENT ... the GNU General Public License", "PSF-2.0"),
        ("Mozilla Public License", "MPL"),
        ("All rights reserved", "unknown"),
    ],
)
def test_a_licence_is_read_from_the_projects_own_file(folder, text, licence):
    (folder / "LICENSE").write_text(text)
    assert Source("one", folder).found_licence() == licence
    assert Source("one", folder, licence="BSD").found_licence() == (licence if licence != "unknown" else "BSD")


def test_a_licence_of_a_commit_is_read_too(repository):
    assert Source("one", repository).found_licence() == "MIT"


def test_a_list_names_projects_of_a_mirror(folder, tmp_path):
    file = tmp_path / "list.jsonl"
    entry = {"name": "one", "licence": "MIT", "commit": "", "language": "Python"}
    file.write_text(json.dumps(entry) + "\n")
    assert listed(file, folder.parent) == [Source("one", folder, "MIT", "", "Python")]
    assert in_folders([folder.parent], {"one": "MIT"}) == [Source("one", folder, "MIT")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "list.jsonl:1 must be a JSON object with name, licence and commit"),
        ('{"name": "one"}', "list.jsonl:1 must be a JSON object"),
        ("[]", "list.jsonl:1 must be a JSON object"),
        ('{"name": "two", "licence": "", "commit": ""}', "list.jsonl:1: .* holds no two"),
    ],
)
def test_a_bad_list_is_named(folder, tmp_path, line, message):
    (tmp_path / "list.jsonl").write_text(line + "\n")
    with pytest.raises(CorpusError, match=message):
        listed(tmp_path / "list.jsonl", folder.parent)


def test_missing_places_are_named(tmp_path):
    with pytest.raises(CorpusError, match="corpus directory must exist, got .*gone"):
        in_folders([tmp_path / "gone"], {})
    with pytest.raises(CorpusError, match="must be a readable list of sources"):
        listed(tmp_path / "gone", tmp_path)
