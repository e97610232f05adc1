"""A stand-in for the API of Kubernetes: a pod is a shell in an empty folder of its own.

As many pods run at once as there are workers. What a pod finds of this machine is the programs; its
environment is the secrets that its job names, and what decides how this machine computes. The tools
that a pod would install are installed here, so `pip` does nothing.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import yaml


class Cluster:
    """Secrets, jobs as they were submitted, and the state of each.

    Attributes
    ----------
    folder
        Of the pods' folders, of which each is removed with its pod, and of their output.
    jobs
        The submitted jobs by name.
    """

    def __init__(self, folder: Path, workers: int = 2):
        self.folder = folder
        self.jobs, self.secrets, self.states = {}, {}, {}
        self.pods = ThreadPoolExecutor(workers)
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "pip").write_text("#!/bin/sh\n")
        (programs / "pip").chmod(0o755)
        self.path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.defpath])
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def config(self) -> Path:
        """A file for the environment variable KUBECONFIG."""
        path = self.folder / "kubeconfig"
        named = {"cluster": "here", "user": "me"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.address}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": named}],
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def close(self) -> None:
        self.server.shutdown()
        self.pods.shutdown(cancel_futures=True)

    def submit(self, job):
        name = job["metadata"]["name"]
        self.jobs[name], self.states[name] = job, {"active": 1}
        self.pods.submit(self.run, name)

    def run(self, name):
        [container] = self.jobs[name]["spec"]["template"]["spec"]["containers"]
        # On these depend the last digits.
        kept = ("OPENBLAS_", "OMP_", "NUMBA_NUM")
        environment = {name: os.environ[name] for name in os.environ if name.startswith(kept)}
        environment["PATH"] = self.path
        for variable in container["env"]:
            key = variable["valueFrom"]["secretKeyRef"]
            value = base64.b64decode(self.secrets[key["name"]][key["key"]])
            environment[variable["name"]] = value.decode()
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            workdir = Path(place, "workdir")
            workdir.mkdir()
            with open(self.folder / f"{name}.log", "w") as output:
                done = subprocess.run(
                    [*container["command"], *container["args"]],
                    cwd=workdir,
                    env=environment | {"HOME": place, "TMPDIR": place},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
        self.states[name] = {"failed": 1} if done.returncode else {"succeeded": 1}

    def answer(self, method, path, body):
        """The answer to a request, as the client of Kubernetes reads it."""
        kind, _, name = re.search(r"/namespaces/default/(\w+)(/([\w-]+))?", path).groups()
        if method == "POST" and kind == "secrets":
            self.secrets[body["metadata"]["name"]] = body["data"]
        elif method == "POST":
            self.submit(body)
        elif kind == "pods":
            return {"items": []}
        elif method == "GET":
            return {**self.jobs[name], "status": self.states[name]}
        return body

    def handler(self):
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def respond(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or "{}")
                text = json.dumps(answer(self.command, self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        for method in ("GET", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.respond)
        return Handler
