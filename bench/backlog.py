"""What a long deferred queue costs: the start, qmgr's memory, and the rate of new mail once the first scan is over, beside the same
contestant with an empty queue, in turn.

The deferred files are written as cleanup and qmgr leave them (names from their inodes, hashed directories), due tomorrow, so
that nothing is tried meanwhile."""
import re
import time
from types import SimpleNamespace

from loads import LOADS
from measure import pairs, sample, spread
from process import process_stat, read
from test_backlog import deferred_count, fill

COUNTS = (0, 20000, 200000)
LOAD = LOADS["discard-20"]
NO_SCAN = ["queue_run_delay = 3600s"]  # the first scan is told apart, later ones do not fall into a sample
DAY = 86400
QUIET_SECONDS, QUIET_SHARE, QUIET_LIMIT = 2, 0.02, 600


def busy(server):
    total = 0
    for pid in server.processes():
        try:
            total += sum(process_stat(pid))
        except OSError:
            continue
    return total


def wait_quiet(server):
    """Until its processes use no CPU any more; gives the seconds that they worked."""
    started, last = time.monotonic(), busy(server)
    while time.monotonic() - started < QUIET_LIMIT:
        time.sleep(QUIET_SECONDS)
        now = busy(server)
        if abs(now - last) < QUIET_SHARE * QUIET_SECONDS:
            return time.monotonic() - started - QUIET_SECONDS
        last = now
    raise AssertionError(f"{server.title} still works {QUIET_LIMIT} s after its start")


def queue_manager_mb(server):
    """(now, at most) resident."""
    status = read(f"/proc/{server.processes('qmgr')[0]}/status")
    return [int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) / 1024 for name in ("VmRSS", "VmHWM")]


def make(kind, place, generator, extra, count):
    """A contestant with `count` deferred messages, not started."""
    server = kind(place, generator.sink_port, [*extra, *NO_SCAN], label=f"-{count}")
    try:
        server.start()  # makes the directories
        server.stop()
        fill(SimpleNamespace(queue=server.folders["queue"]), count, time.time() + DAY)
        server.root.run("chown -R postfix /var/spool/postfix/deferred")
        place.sync()
    except BaseException:
        server.destroy()
        raise
    return server


def start(server, generator):
    """What a start costs: seconds until the command returns, until a new message is delivered, and until the first scan is over."""
    began = time.monotonic()
    server.start()
    started = time.monotonic() - began
    sample(server, generator, LOAD, 1)
    first = time.monotonic() - began
    worked = wait_quiet(server)
    now, most = queue_manager_mb(server)
    return {"start_seconds": started, "first_seconds": first, "settled_seconds": first + worked, "qmgr_mb": now, "qmgr_most_mb": most}


def measure_all(servers, counts, generator, options, say):
    results = {}
    for server, count in zip(servers, counts):
        results[count] = start(server, generator)
        say(f"{server.title} with {count} deferred: first new mail {results[count]['first_seconds']:.1f} s after the start, "
            f"quiet after {results[count]['settled_seconds']:.1f} s, qmgr {results[count]['qmgr_most_mb']:.0f} MB")
    samples = pairs(servers, generator, LOAD, options.pairs, options.seconds, say)
    none = [one["rate"] for one in samples[servers[0].name]]
    for server, count in zip(servers, counts):
        rates = [one["rate"] for one in samples[server.name]]
        left = deferred_count(SimpleNamespace(queue=server.folders["queue"]))
        if left != count:
            raise AssertionError(f"{server.title}: {left} deferred messages of {count} at the end")
        results[count].update(samples=samples[server.name], rate=spread(rates), to_none=spread([own / base for own, base in zip(rates, none)]),
                              qmgr_most_mb=queue_manager_mb(server)[1])
    return results


def backlog(kind, place, generator, options, extra, say):
    """{count: figures} of one kind of contestant."""
    servers, counts = [], options.deferred or COUNTS
    try:
        for count in counts:
            servers.append(make(kind, place, generator, extra, count))
            say(f"{kind.title}: {count} deferred messages made")
        return measure_all(servers, counts, generator, options, say)
    finally:
        for server in servers:
            server.root.run([*server.postfix, "stop"], check=False)
            server.destroy()
            place.remove(server.name)
