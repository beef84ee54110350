import pytest

from coder_model.types import InvalidInput
from shared_server.settings import Quota, ServeSettings, read_settings


def read(tmp_path, text):
    path = tmp_path / "serve.toml"
    path.write_text(text)
    return read_settings(path)


def test_without_a_file_this_machine_alone_may_ask():
    assert read_settings(None) == ServeSettings()
    assert not ServeSettings().is_public


def test_a_file_names_engines_tenants_and_limits(tmp_path):
    got = read(
        tmp_path,
        """
        host = "0.0.0.0"
        tokens = "tokens"
        [limits]
        body_kb = 64
        [tenants.red]
        requests_per_s = 5
        weight = 2
        [[engines]]
        name = "own"
        model = "qwen2.5-coder-0.5b"
        replicas = 2
        [[engines]]
        name = "llama"
        remote = { kind = "llama.cpp", url = "http://127.0.0.1:8080" }
        """,
    )
    assert [engine.name for engine in got.engines] == ["own", "llama"]
    assert got.engines[1].remote.kind == "llama.cpp"
    assert got.tenants["red"] == Quota(requests_per_s=5, weight=2)
    assert got.limits.body_kb == 64


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("host = ", "must be settings of `unmask serve`"),
        ("hots = 'x'", "unknown field `hots`"),
        ("port = 70000", "port"),
        ("host = '0.0.0.0'", "tokens must be a file where others can ask"),
        ("engines = []", "engines must be at least one"),
        ("[[engines]]\n[[engines]]", "of different names"),
        ("[[engines]]\nname = 'a b'", "engines"),
        ("[[engines]]\nreplicas = 0", "replicas"),
        ("certificate = 'x'", "certificate and key must be given together"),
        ("[quota]\nrequests_per_s = -1", "requests_per_s"),
        ("[limits]\nbody_kb = 1e9", "body_kb"),
        ("[[engines]]\nremote = { kind = 'grpc' }", "kind"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path, text, match):
    with pytest.raises(InvalidInput, match=match) as found:
        read(tmp_path, text)
    assert str(tmp_path / "serve.toml") in str(found.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="no.toml must be settings"):
        read_settings(tmp_path / "no.toml")
