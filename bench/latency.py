"""How long the 250 takes when the server is not saturated: both at half of the first contestant's saturation rate, and the second at half of
its own. The load is open-loop (bench/pace.c): a message's time runs from when it was due."""
import os
import statistics
import subprocess

from loads import LOADS
from measure import LogTail, sample, wait_gone, warm_up
from places import ROOT

PACE = os.path.join(ROOT, "build/meson/bench/pace")
LOAD = LOADS["discard-20"]
SESSIONS = 50
ROUNDS = 3
LENGTHS = 4  # of a sample: the thousandth message must not be the only one beyond p99.9
SHOWN = ("0.5", "0.99", "0.999", "1")


def paced(server, rate, seconds):
    """One run: {quantile: microseconds}; all its messages are gone from the queue when it returns."""
    server.place.sync()
    tail = LogTail(server.log_path)
    done = subprocess.run([PACE, str(server.port), str(SESSIONS), str(rate), str(seconds), str(LOAD.size), f"u@{LOAD.domain}"],
                          capture_output=True, text=True, timeout=seconds * 10 + 60)
    if done.returncode != 0:
        raise AssertionError(f"pace: {done.stderr.strip()}")
    words = [line.split() for line in done.stdout.splitlines()]
    values = {key: value for key, value in (line for line in words if len(line) == 2)}
    wait_gone(tail, int(values["messages"]))
    return {"messages": int(values["messages"]), "waited": int(values["waited"]),
            "quantiles": {line[1]: int(line[2]) for line in words if line[0] == "quantile"}}


def saturation(server, generator, seconds):
    count = warm_up(server, generator, LOAD, seconds)
    return statistics.median(sample(server, generator, LOAD, count)["rate"] for _ in range(3))


def cases(servers, rates):
    """(server, messages a second, what that is): in turn, so that what the machine does meets all."""
    first = servers[0]
    for server in servers:
        yield server, int(rates[first.name] / 2), f"half of {first.title}'s saturation"
    for server in servers[1:]:
        yield server, int(rates[server.name] / 2), f"half of {server.title}'s saturation"


def latency(servers, generator, seconds, say):
    """[{contestant, rate, what, runs, quantiles: medians of the runs}]"""
    rates = {server.name: saturation(server, generator, seconds) for server in servers}
    results = [{"contestant": server.name, "title": server.title, "rate": rate, "what": what, "runs": []}
               for server, rate, what in cases(servers, rates)]
    for _ in range(ROUNDS):
        for result in results:
            server = next(one for one in servers if one.name == result["contestant"])
            run = paced(server, result["rate"], max(1, int(seconds * LENGTHS)))
            result["runs"].append(run)
            say(f"latency {server.title} at {result['rate']}/s: p50 {run['quantiles']['0.5']} us, p99 {run['quantiles']['0.99']} us")
    for result in results:
        names = result["runs"][0]["quantiles"]
        result["quantiles"] = {name: statistics.median(run["quantiles"][name] for run in result["runs"]) for name in names}
    return {"saturation": rates, "cases": results}
