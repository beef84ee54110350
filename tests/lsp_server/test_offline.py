"""The real server and model where there is no network at all, and every call of the system that could want one."""

import re
import shutil
import subprocess
import sys

import pytest
from lsp_client import LspClient

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.cli import main; main()", "lsp"]
URI = "file:///work/a.py"


def able(*command):
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def alone():
    if not able("unshare", "-rn", "true"):
        pytest.skip("needs `unshare -rn`: Linux with user namespaces")
    return ["unshare", "-rn"]


def completed(command):
    client = LspClient([*command, *UNMASK], options={"deadlineInvokedMs": 60_000})
    try:
        client.open(URI, "import json\n\n\ndef load(path):\n    return json.")
        items = client.items(URI, 4, 16, trigger=1)
        client.request("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(timeout=20) == 0
        return items
    finally:
        client.close()


@pytest.fixture(scope="module")
def calls(alone, tmp_path_factory):
    log = tmp_path_factory.mktemp("trace") / "calls"
    strace = ["strace", "-f", "-qq", "-e", "trace=socket,connect,bind,sendto,sendmsg,execve", "-o", str(log)]
    if not able(*strace, "true"):
        pytest.skip("needs strace, and the right to trace")
    assert completed([*alone, *strace])
    return log.read_text("utf-8", "replace").splitlines()


def test_without_a_network_it_completes(alone):
    assert completed(alone)


def test_no_address_of_the_internet_is_so_much_as_thought_of(calls):
    assert any("connect(" in call and "AF_UNIX" in call for call in calls), "nothing was traced"
    assert not [call for call in calls if re.search(r"AF_INET|AF_PACKET|AF_NETLINK", call)]


def test_no_program_is_run_but_its_own(calls):
    programs = {found[1] for call in calls if (found := re.search(r'execve\("([^"]+)"', call))}
    assert {program.rsplit("/", 1)[-1].rstrip("0123456789.") for program in programs} == {"python"}
