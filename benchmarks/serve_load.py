"""`unmask serve` under load: many people typing at once, the real server on a port, workers with a real model.

    python benchmarks/serve_load.py [--replicas 2] [--seconds 20] [--model embedded] [--engine ray] [--fairness]

Everybody types the same file from another place on: a dozen keys 150 to 200 ms apart, then a pause; each key asks, and
hangs up on what is still open, as editors do. First the server's capacity is measured, since it is the machine's; then
the rates that a box with a GPU is asked for, parts and multiples of the capacity: sustained (half), burst (1.2 times),
overload (ten times) and what is right after it, kill -9 of a worker, and one tenant who asks for a hundred times as
much as another one, with a quota of a quarter of the capacity and without (`--fairness`: these alone). Server and
people share the processors: rates are a lower bound and the ratios within a run are what to trust.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from records import BENCHMARKS, RESULTS, Figures, show, write

from coder_model.evaluation.metrics import percentile
from shared_server.tokens import add_token

FIM = "/v1/fim/completions"
TEXT = (BENCHMARKS / "demo/inventory.py").read_text("utf-8")
KEY_S, KEYS, PAUSE_S = (0.15, 0.2), 12, 3.0
PER_PERSON = KEYS / (KEYS * sum(KEY_S) / 2 + PAUSE_S)
"""Requests a second of one person at the keyboard."""
RATES = (25.0, 60.0)
"""What a box with a GPU should do, sustained and in a burst, a second."""
GREEDY = 100
UNLIMITED = 1e5
"""Requests a second."""
FAIR_TIMES = 3
"""How much longer the phases of two tenants are: a quarter of the capacity has few answers."""
TYPING_MS = 1500.0
"""Deadline of each request: two busy cores are no GPU."""
CONFIG = """
port = {port}
tokens = "{folder}/tokens"
audit = "{folder}/audit"
[limits]
typing_ms = {typing_ms}
connections_per_client = 1000
[quota]
requests_per_s = 1e5
burst = 1e5
in_flight_per_user = 10000
[tenants.greedy]
requests_per_s = {share}
burst = {burst}
in_flight_per_user = 10000
[[engines]]
name = "unmask"
model = "{model}"
replicas = {replicas}
cpus = 0.1
"""
COMMAND = "from unmask_cli.cli import main; main()"


@dataclass
class Seen:
    """What became of the requests of a phase."""

    statuses: Counter[str] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)
    """Of those that were answered with 200."""
    levels: Counter[str] = field(default_factory=Counter)

    def figures(self, seconds: float) -> Figures:
        """Returns counts, rates and times."""
        asked = self.statuses.total()
        return {
            "asked_per_s": round(asked / seconds, 1),
            "answered_per_s": round(len(self.ms) / seconds, 1),
            "p50_ms": round(percentile(self.ms, 50)) if self.ms else None,
            "p95_ms": round(percentile(self.ms, 95)) if self.ms else None,
            "statuses": dict(sorted(self.statuses.items())),
            "levels": dict(sorted(self.levels.items())),
        }


class Team:
    """The server, and who asks it."""

    def __init__(self, address: str, tokens: dict[str, str], process: subprocess.Popen[str]) -> None:
        self.process = process
        self._tokens = tokens
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self.client = httpx2.AsyncClient(base_url=address, timeout=30, limits=limits)

    async def ask(self, seen: Seen, tenant: str, session: str, at: int) -> None:
        """Makes one request and notes its end; to be cancelled is to hang up."""
        headers = {"authorization": f"Bearer {self._tokens[tenant]}", "x-session-id": session}
        body = {"prompt": TEXT[:at], "suffix": "", "stop": "\n", "path": "inventory.py", "language": "python"}
        began = time.perf_counter()
        try:
            response = await self.client.post(FIM, json=body, headers=headers)
        except asyncio.CancelledError:
            seen.statuses["hung up"] += 1
            raise
        except httpx2.HTTPError as error:
            seen.statuses[type(error).__name__] += 1
            return
        seen.statuses[str(response.status_code)] += 1
        if response.status_code == 200:
            seen.ms.append((time.perf_counter() - began) * 1000)
            seen.levels[response.headers["x-unmask-level"]] += 1

    async def typed(self, seen: Seen, tenant: str, number: int, until: float) -> None:
        """One person who types until then."""
        rng = random.Random(number)
        await asyncio.sleep(rng.uniform(0, PAUSE_S))
        for at in _places(rng):
            open_request = asyncio.create_task(self.ask(seen, tenant, f"file {number}", at))
            pause = rng.uniform(*KEY_S) + (PAUSE_S if at % KEYS == 0 else 0.0)
            await asyncio.wait([open_request], timeout=pause)
            if not open_request.done():
                open_request.cancel()
            else:
                await asyncio.sleep(max(0.0, pause - (seen.ms[-1] / 1000 if seen.ms else 0.0)))
            await asyncio.gather(open_request, return_exceptions=True)
            if time.monotonic() > until:
                return

    async def phase(self, people: float, seconds: float, tenant: str = "red") -> Seen:
        """So many people of one tenant who type for so long."""
        seen, until = Seen(), time.monotonic() + seconds
        await asyncio.gather(*(self.typed(seen, tenant, i, until) for i in range(max(1, round(people)))))
        return seen

    async def at_once(self, tasks: int, seconds: float) -> Seen:
        """So many requests all the time, each answered before the next."""
        seen, until = Seen(), time.monotonic() + seconds

        async def one(number: int) -> None:
            for at in _places(random.Random(number)):
                if time.monotonic() > until:
                    return
                await self.ask(seen, "red", f"file {number}", at)

        await asyncio.gather(*map(one, range(tasks)))
        return seen

    async def flood(self, rate: float, seconds: float, tenant: str) -> Seen:
        """So many requests a second of one tenant, whatever becomes of them."""
        seen, until, tasks = Seen(), time.monotonic() + seconds, set[asyncio.Task[None]]()
        for number, at in enumerate(_places(random.Random(7))):
            if time.monotonic() > until:
                break
            tasks.add(asyncio.create_task(self.ask(seen, tenant, f"flood {number % 500}", at)))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*tasks, return_exceptions=True)
        return seen

    def workers(self) -> list[int]:
        """Process ids of the engines' workers."""
        listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
        lines = [line.split(None, 1) for line in listed.splitlines()]
        return [int(pid) for pid, command in lines if "coder_model.worker.main" in command and "--replica" in command]


def _places(rng: random.Random) -> Iterator[int]:
    """Where the cursor is after each key, for ever."""
    start = rng.randrange(200, len(TEXT))
    return (200 + (start + i) % (len(TEXT) - 200) for i in itertools.count())


@asynccontextmanager
async def team(arguments: argparse.Namespace, share: float) -> AsyncGenerator[Team, None]:
    """Starts the server, and ends it."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = {name: add_token(Path(folder) / "tokens", name, "ann") for name in ("red", "greedy")}
        replicas, model = arguments.replicas, arguments.model
        settings = CONFIG.format(
            port=arguments.port, folder=folder, typing_ms=TYPING_MS, share=share, burst=max(1.0, share),
            replicas=replicas, model=model,
        )  # fmt: skip
        (Path(folder) / "serve.toml").write_text(settings)
        command = [
            sys.executable,
            "-c",
            COMMAND,
            "serve",
            "--engine",
            arguments.engine,
            "--config",
            f"{folder}/serve.toml",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            address = (await asyncio.to_thread(process.stdout.readline)).split()[-1]
            made = Team(address, tokens, process)
            while (await made.client.get("/healthz")).status_code != 200:
                await asyncio.sleep(0.2)
            yield made
            await made.client.aclose()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


async def measure(arguments: argparse.Namespace) -> Figures:
    """Runs all phases; returns what was seen."""
    seconds = arguments.seconds
    async with team(arguments, UNLIMITED) as made:
        await made.at_once(arguments.replicas, 5)
        full = await made.at_once(2 * arguments.replicas, seconds)
        capacity = len(full.ms) / seconds
        phases = {"capacity": full.figures(seconds)}
        found = {} if arguments.fairness else await _overloaded(made, phases, capacity, seconds)
    for quota, said in ((capacity / 4, "a quarter as its quota"), (UNLIMITED, "no quota")):
        await _unfair(arguments, phases, capacity, quota, said)
    return {
        "engine": arguments.engine, "model": arguments.model, "replicas": arguments.replicas, "seconds": seconds,
        "deadline_ms": TYPING_MS, "capacity_per_s": round(capacity, 1), **found, "phases": phases,
    }  # fmt: skip


async def _overloaded(made: Team, phases: Figures, capacity: float, seconds: float) -> Figures:
    """Adds the phases of one tenant; returns what else was seen."""
    people = capacity / PER_PERSON
    for rate in RATES:
        phases[f"{rate:g} a second"] = (await made.phase(rate / PER_PERSON, seconds)).figures(seconds)
    for name, times in (("sustained, half", 0.5), ("burst, 1.2 times", 1.2), ("overload, 10 times", 10.0)):
        phases[name] = (await made.phase(times * people, seconds)).figures(seconds)
    began = time.monotonic()
    while len((await made.at_once(1, 0.5)).ms) < 1:
        pass
    recovery_s = time.monotonic() - began
    phases["right after, half"] = (await made.phase(0.5 * people, seconds)).figures(seconds)
    killed = asyncio.create_task(made.phase(0.5 * people, seconds))
    await asyncio.sleep(seconds / 3)
    os.kill(made.workers()[0], signal.SIGKILL)
    phases["kill -9 of a worker, half"] = (await killed).figures(seconds)
    return {"recovery_s": round(recovery_s, 2)}


async def _unfair(arguments: argparse.Namespace, phases: Figures, capacity: float, quota: float, said: str) -> None:
    """Adds the phases of two tenants, one of which asks for a hundred times as much, with a quota for that one."""
    people, seconds = 0.25 * capacity / PER_PERSON, FAIR_TIMES * arguments.seconds
    async with team(arguments, quota) as made:
        await made.at_once(arguments.replicas, 5)
        phases[f"one tenant alone, a quarter ({said})"] = (await made.phase(people, seconds)).figures(seconds)
        flood = asyncio.create_task(made.flood(GREEDY * 0.25 * capacity, seconds, "greedy"))
        phases[f"beside one who asks 100 times, {said}"] = (await made.phase(people, seconds)).figures(seconds)
        phases[f"the one who asks 100 times, {said}"] = (await flood).figures(seconds)


def main() -> None:
    """Measures and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=8021)
    parser.add_argument("--fairness", action="store_true", help="only capacity, and one tenant beside another one")
    parser.add_argument("--out", type=Path, default=RESULTS / "serve-load.json")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments))
    show(found["phases"])
    write(arguments.out, found)


if __name__ == "__main__":
    main()
