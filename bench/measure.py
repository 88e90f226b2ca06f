"""One sample, and a series of them in turn. A sample in which a message was refused, deferred, bounced or lost is an error and no
figure."""
import os
import re
import statistics
import time

# What the log says of each message, and what it must not say.
REMOVED, SENT = b": removed\n", b" status=sent "
TROUBLE = re.compile(rb" status=(?:deferred|bounced|expired|undeliverable) |: (?:fatal|panic|error): |: reject: ")
LOOK = 0.005  # seconds between two looks at the log's new bytes
STALLED = 30  # seconds without a finished message


class LogTail:
    """What was written to the log since it was made; each byte is read once. look() is all that happens while time is measured."""

    def __init__(self, path):
        self.path = path
        self.offset = os.stat(path).st_size if os.path.exists(path) else 0
        self.removed = 0
        self.lines = []

    def look(self):
        """How many messages are gone."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            new = file.read()
        new = new[:new.rfind(b"\n") + 1]
        self.offset += len(new)
        self.lines.append(new)
        self.removed += new.count(REMOVED)
        return self.removed

    def check(self):
        """How many recipients got their message; raises when the log tells of trouble."""
        text = b"".join(self.lines)
        trouble = TROUBLE.search(text)
        if trouble:
            line = text[text.rfind(b"\n", 0, trouble.start()) + 1:text.find(b"\n", trouble.end())]
            raise AssertionError("the log says: " + line.decode(errors="replace"))
        return text.count(SENT)


def wait_gone(tail, count):
    last, changed = -1, time.monotonic()
    while tail.look() < count:
        now = time.monotonic()
        if tail.removed != last:
            last, changed = tail.removed, now
        elif now - changed > STALLED:
            tail.check()
            raise AssertionError(f"{count - tail.removed} of {count} messages are not gone after {STALLED} s without progress")
        time.sleep(LOOK)


def sample(server, generator, load, count):
    """Sends `count` messages and waits until the last is gone from the queue: {rate, messages, seconds, accepted_seconds ...}."""
    server.place.sync()
    tail = LogTail(server.log_path)
    run = generator.prepare(load, server, count)
    sink, start = generator.sink_seconds(), time.monotonic()
    run.go()
    run.wait()
    accepted = time.monotonic() - start
    wait_gone(tail, run.count)
    seconds = time.monotonic() - start
    cpu = run.cpu + generator.sink_seconds() - sink
    sent = tail.check()
    if tail.removed != run.count or sent != run.count * load.recipients:
        raise AssertionError(f"{run.count} messages to {load.recipients} recipients each: {tail.removed} removed, {sent} delivered")
    return {"rate": run.count * load.recipients / seconds, "messages": run.count, "seconds": seconds, "accepted_seconds": accepted,
            "generator_cpu_us": cpu * 1e6 / run.count, "generator_share": cpu / seconds / os.cpu_count()}


def sized(load, rate, seconds):
    """How many messages fill a sample."""
    if load.messages:
        return load.messages
    return max(load.least, load.sessions * 2, int(rate * seconds / load.recipients))


def warm_up(server, generator, load, seconds):
    """Twice: the second warms as long as a sample lasts and tells the rate of processes that all run. Gives a sample's count."""
    first = sample(server, generator, load, max(load.least // 4, load.sessions))
    second = sample(server, generator, load, sized(load, first["rate"], seconds / 2))
    return sized(load, second["rate"], seconds)


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def pairs(servers, generator, load, count, seconds, say):
    """A B A B ... on contestants that keep running. {name: [sample]}, and the ratio (second to first) of each pair."""
    sizes = {server.name: warm_up(server, generator, load, seconds) for server in servers}
    samples = {server.name: [] for server in servers}
    for number in range(count):
        for server in servers:
            done = sample(server, generator, load, sizes[server.name])
            samples[server.name].append(done)
            say(f"{load.name} {number + 1}/{count} {server.title:10} {done['rate']:8.0f} {load.unit}")
    return samples


def summary(samples, names):
    """Medians, ranges and ratio of one load's samples."""
    rates = {name: [one["rate"] for one in samples[name]] for name in names}
    ratios = [ours / theirs for theirs, ours in zip(rates[names[0]], rates[names[1]])]
    return {"rates": {name: spread(rates[name]) for name in names}, "ratio": spread(ratios),
            "generator_share": {name: statistics.median(one["generator_share"] for one in samples[name]) for name in names}}
