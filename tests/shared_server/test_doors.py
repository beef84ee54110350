import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from shared_server.doors import HERE, Doors, ask_of, session_key
from shared_server.levels import Priority
from shared_server.problems import Problem
from shared_server.settings import ServeSettings
from shared_server.shapes import read_fim
from shared_server.tokens import Caller, TokenFile, add_token

ANN = Caller("red", "ann")
NAMES = st.text(max_size=4)


def headers(*pairs):
    return Headers(raw=[(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs])


def status_of(function, *arguments):
    with pytest.raises(Problem) as found:
        function(*arguments)
    return found.value.status


def asked(*pairs, body=b'{"prompt": "x"}'):
    settings = ServeSettings()
    return ask_of(read_fim(body), ANN, headers(*pairs), settings, ["unmask", "other"], None)


def left_ms(ask):
    return (ask.deadline - time.monotonic()) * 1000


@pytest.fixture
def guarded(tmp_path):
    path = tmp_path / "tokens"
    token, operator = add_token(path, "red", "ann"), add_token(path, "operators", "joe")
    return Doors(TokenFile(path), "operators"), token, operator


def test_a_token_says_who_asks(guarded):
    doors, token, _ = guarded
    assert doors.caller(headers(("authorization", f"Bearer {token}"))) == ANN
    assert doors.caller(headers(("authorization", f"bearer {token}"), ("host", "team.example"))) == ANN


@pytest.mark.parametrize("wrong", ["", "Bearer", "Bearer ", "Bearer x", "Basic {}", "{}", "Bearer {}x", "Bearer x{}"])
def test_without_a_token_nobody_is_let_in(guarded, wrong):
    doors, token, _ = guarded
    assert status_of(doors.caller, headers(("authorization", wrong.format(token)))) == 401
    assert status_of(doors.caller, headers()) == 401


def test_two_tokens_are_none(guarded):
    doors, token, _ = guarded
    pair = ("authorization", f"Bearer {token}")
    assert status_of(doors.caller, headers(pair, pair)) == 401


def test_a_browser_is_turned_away_with_a_token_and_without(guarded):
    doors, token, _ = guarded
    for origin in ("http://evil.example", "null", "http://localhost:8011", ""):
        assert status_of(doors.caller, headers(("authorization", f"Bearer {token}"), ("origin", origin))) == 403
        assert status_of(Doors(None, "o").caller, headers(("host", "localhost:1"), ("origin", origin))) == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8011", "127.0.0.1:8011", "[::1]:8011", "127.0.0.1"])
def test_without_tokens_this_machine_is_let_in_by_its_own_names(host):
    assert Doors(None, "o").caller(headers(("host", host))) is HERE


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8011", "localhost.evil.example", "", "127.0.0.1.nip.io:80"]
)
def test_a_rebound_name_is_turned_away(host):
    assert status_of(Doors(None, "o").caller, headers(("host", host))) == 403
    assert status_of(Doors(None, "o").caller, headers()) == 403
    assert status_of(Doors(None, "o").caller, headers(("host", "localhost"), ("host", "localhost"))) == 403


def test_figures_are_for_operators(guarded):
    doors, token, operator = guarded
    doors.operator(headers(("authorization", f"Bearer {operator}")))
    assert status_of(doors.operator, headers(("authorization", f"Bearer {token}"))) == 403
    assert status_of(doors.operator, headers()) == 401
    Doors(None, "operators").operator(headers(("host", "localhost")))


@given(NAMES, NAMES, NAMES, NAMES, NAMES, NAMES)
def test_no_two_documents_have_one_key(a, b, c, d, e, f):
    def key(tenant, user, session):
        return session_key(Caller(tenant, user), session or "x")

    assert (key(a, b, c) == key(d, e, f)) == ((a, b, c or "x") == (d, e, f or "x"))


def test_without_a_session_a_request_stands_alone():
    assert session_key(ANN, None) != session_key(ANN, None)
    assert asked().request.session != asked().request.session
    assert asked(("x-session-id", "a")).request.session == asked(("x-session-id", "a")).request.session
    for wrong in ("", "x" * 257):
        assert status_of(session_key, ANN, wrong) == 400


def test_a_deadline_is_a_moment_of_the_wall_clock():
    moment = int(time.time() * 1000) + 5000
    assert left_ms(asked(("x-deadline-ms", str(moment)))) == pytest.approx(5000, abs=100)


def test_without_a_deadline_who_waits_says_how_long():
    assert left_ms(asked()) == pytest.approx(800, abs=100)
    assert left_ms(asked(("x-priority", "Manual"))) == pytest.approx(3000, abs=100)
    assert asked(("x-priority", "prefetch")).priority is Priority.PREFETCH


@pytest.mark.parametrize("wrong", ["", "soon", "-1", "1.5", "1e3", "٣", "9" * 17, "0x10", " 5"])
def test_a_deadline_that_is_no_moment_is_refused(wrong):
    assert status_of(asked, ("x-deadline-ms", wrong)) == 400


def test_a_deadline_that_has_passed_or_is_far_away():
    now = int(time.time() * 1000)
    assert status_of(asked, ("x-deadline-ms", str(now - 1))) == 504
    assert status_of(asked, ("x-deadline-ms", "0")) == 504
    assert status_of(asked, ("x-deadline-ms", str(now + 100_000))) == 400


def test_a_jump_of_the_clock_does_not_change_a_deadline_that_is_known(monkeypatch):
    ask = asked(("x-deadline-ms", str(int(time.time() * 1000) + 5000)))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert left_ms(ask) == pytest.approx(5000, abs=100)


def test_an_unknown_priority_or_model_is_refused():
    assert status_of(asked, ("x-priority", "urgent")) == 400
    with pytest.raises(Problem, match="model must be one of unmask, other") as found:
        asked(body=b'{"prompt": "x", "model": "gpt"}')
    assert found.value.status == 404
    assert asked(body=b'{"prompt": "x", "model": "other"}').engine == "other"
