"""A language client over stdio, as small as can be: requests, notifications, raw bytes."""

import atexit
import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading


class RequestFailed(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class LspClient:
    def __init__(
        self,
        command,
        encodings=("utf-16",),
        options=None,
        process_id=None,
        environment=None,
        configuration=None,
        runtime=None,
        folders=None,
        workspace_edit=None,
        code_action=None,
    ):
        # a worker of its own, unless the test wants one that is shared
        environment = {**(environment or os.environ), "XDG_RUNTIME_DIR": str(runtime or _folder_of_its_own())}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        self.notifications = []
        self.configuration = configuration
        """What the client answers to `workspace/configuration`; None: it does not offer that."""
        self.edits = []
        """Parameters of the edits that the server asked for; each is applied, as far as the server is told."""
        self.refuses = None
        """A reason why none is applied."""
        self.log = []
        self.arrived = []
        """Ids of the replies in the order in which they came."""
        self._ids, self._waiting = itertools.count(1), {}
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_log, daemon=True).start()
        capabilities = {
            "window": {"workDoneProgress": True},
            "general": {"positionEncodings": list(encodings)},
            "textDocument": {"inlineCompletion": {}, "codeAction": code_action or {}},
        }
        if configuration is not None:
            capabilities["workspace"] = {"configuration": True}
        if workspace_edit is not None:
            capabilities.setdefault("workspace", {})["workspaceEdit"] = workspace_edit
        parameters = {"processId": process_id, "rootUri": None, "capabilities": capabilities}
        if folders is not None:
            capabilities.setdefault("workspace", {})["workspaceFolders"] = True
            parameters["workspaceFolders"] = [{"uri": uri, "name": uri.rpartition("/")[2]} for uri in folders]
        # on a busy machine the first answer waits long for the worker
        parameters["initializationOptions"] = {"deadlineMs": 20_000, **(options or {})}
        self.capabilities = self.request("initialize", parameters)["capabilities"]
        self.notify("initialized", {})

    @property
    def told(self):
        """What the server has said of the model, the latest last."""
        return [n["params"]["message"] for n in self.notifications if n["method"] == "didChangeStatus"]

    def send_raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def notify(self, method, parameters):
        self.send({"method": method, "params": parameters})

    def start(self, method, parameters):
        started = self.expect(next(self._ids))
        self.send({"id": started[0], "method": method, "params": parameters})
        return started

    def expect(self, number):
        """Waits for a reply to a request that somebody else sends."""
        self._waiting[number] = queue.Queue()
        return number, self._waiting[number]

    def finish(self, started, timeout=20):
        message = started[1].get(timeout=timeout)
        if "error" in message:
            raise RequestFailed(message["error"]["code"], message["error"]["message"])
        return message["result"]

    def request(self, method, parameters, timeout=20):
        return self.finish(self.start(method, parameters), timeout)

    def open(self, uri, text, language="python"):
        document = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri, version, *changes):
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    def ask(self, uri, line, character, trigger=2):
        parameters = {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": trigger},
        }
        return self.start("textDocument/inlineCompletion", parameters)

    def items(self, uri, line, character, trigger=2):
        return self.finish(self.ask(uri, line, character, trigger))["items"]

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _read(self):
        out = self.process.stdout
        while True:
            length = None
            for line in iter(out.readline, b"\r\n"):
                if not line:
                    return
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            message = json.loads(out.read(length))
            if message.get("method") == "workspace/configuration":
                self.send({"id": message["id"], "result": [self.configuration]})
            elif message.get("method") == "window/workDoneProgress/create":
                # the test may have closed the pipe meanwhile
                with contextlib.suppress(ValueError, BrokenPipeError):
                    self.send({"id": message["id"], "result": None})
            elif message.get("method") == "workspace/applyEdit":
                self.edits.append(message["params"])
                answer = {"applied": not self.refuses, "failureReason": self.refuses}
                self.send({"id": message["id"], "result": answer})
            elif "method" in message:
                self.notifications.append(message)
            elif isinstance(message.get("id"), (int, str)):
                self.arrived.append(message["id"])
                self._waiting.pop(message["id"], queue.Queue()).put(message)

    def _read_log(self):
        # the pipe may be closed under the reader
        with contextlib.suppress(ValueError):
            for line in self.process.stderr:
                self.log.append(line.decode("utf-8", "replace"))


def _folder_of_its_own():
    """A folder that is gone after the tests: right behind a client its worker may still write into it."""
    name = tempfile.mkdtemp(prefix="unmask-")
    atexit.register(shutil.rmtree, name, ignore_errors=True)
    return name
