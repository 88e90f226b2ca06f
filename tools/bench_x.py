#!/usr/bin/env python3
"""Messages per second, receive to discard, beside Debian's Postfix in the same minutes.

    tools/bench.py [--pairs N] [--messages N] [--sessions N] [--size BYTES]

Both run in turn (A B A B ...) on the same file system: same load (smtp-source, kept connections), same limits, logs to
a file. Postfix is Debian's package in a private root (an overlay in a mount namespace, so root is needed); the machine's own
files are not touched. Prints each run, medians and the ratio: figures of different runs are not comparable.
"""
import argparse
import glob
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))
from instance import Instance, free_port, wait_until  # noqa: E402

WORK = os.path.join(ROOT, "build/bench")

PREPARE = """set -e
mount -t overlay overlay -o lowerdir=/,upperdir={work}/upper,workdir={work}/work {work}/root
mount --rbind /proc {work}/root/proc
mount --rbind /dev {work}/root/dev
mkdir -p {work}/root/var/spool/postfix
mount --bind {work}/queue {work}/root/var/spool/postfix
cp {work}/main.cf {work}/master.cf {work}/root/etc/postfix/
exec chroot {work}/root /bin/sh -c 'set -e; ldconfig
grep -q ^postdrop: /etc/group || groupadd -r postdrop
grep -q ^postfix: /etc/passwd || useradd -r -d /var/spool/postfix -s /bin/false postfix
mkdir -p /var/lib/postfix; chown postfix /var/lib/postfix
rm -f /var/log/bench.log
exec postfix start-fg'
"""

MAIN_CF = """compatibility_level = 3.6
myhostname = bench.example
mydestination = localhost
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
transport_maps = inline:{discard.test=discard:silently}
smtpd_peername_lookup = no
maillog_file = /var/log/bench.log
maillog_file_prefixes = /var/log
alias_maps =
local_recipient_maps =
"""

MASTER_CF = """{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Reference:
    """Debian's Postfix in a private root."""

    name = "postfix"

    def __init__(self):
        self.port = free_port()
        self.process = None
        for part in ("upper", "work", "root", "queue"):
            os.makedirs(os.path.join(WORK, part), exist_ok=True)
        if not os.path.exists(f"{WORK}/upper/usr/sbin/postfix"):
            self.unpack()
        self.log_path = f"{WORK}/upper/var/log/bench.log"

    def unpack(self):
        subprocess.run(["apt-get", "download", "postfix"], cwd=WORK, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        package = glob.glob(f"{WORK}/postfix_*.deb")[0]
        subprocess.run(["dpkg", "-x", package, f"{WORK}/upper"], check=True)
        # /lib is a link in the root below; the package's directory would hide it.
        if os.path.isdir(f"{WORK}/upper/lib"):
            shutil.copytree(f"{WORK}/upper/lib", f"{WORK}/upper/usr/lib", dirs_exist_ok=True)
            shutil.rmtree(f"{WORK}/upper/lib")

    def start(self):
        with open(f"{WORK}/main.cf", "w", encoding="utf-8") as file:
            file.write(MAIN_CF)
        with open(f"{WORK}/master.cf", "w", encoding="utf-8") as file:
            file.write(MASTER_CF.format(port=self.port))
        self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", PREPARE.format(work=WORK)], stdout=subprocess.DEVNULL,
                                        stderr=open(f"{WORK}/postfix.err", "w", encoding="utf-8"))
        wait_until(lambda: can_connect(self.port), 30, "Postfix to listen")

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        """start-fg is a script whose child is master: that one is told to end."""
        with open(f"{WORK}/queue/pid/master.pid", encoding="utf-8") as file:
            os.kill(int(file.read()), signal.SIGTERM)
        self.process.wait(30)


class Ours(Instance):
    name = "posthouse"

    def __init__(self):
        shutil.rmtree(f"{WORK}/ours", ignore_errors=True)
        super().__init__(f"{WORK}/ours")
        self.configure(["transport_maps = inline:{discard.test=discard:silently}", "smtpd_peername_lookup = no"] + ([os.environ["EXTRA"]] if "EXTRA" in os.environ else []))


def can_connect(port):
    import socket
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def removed(server):
    return server.log().count(": removed\n")


def measure(server, options):
    """Messages per second until the last one is gone from the queue."""
    source = f"{WORK}/upper/usr/sbin/smtp-source"
    env = dict(os.environ, LD_LIBRARY_PATH=f"{WORK}/upper/usr/lib/postfix")
    before = removed(server)
    start = time.monotonic()
    subprocess.run([source, "-s", str(options.sessions), "-m", str(options.messages), "-l", str(options.size), "-d", "-f",
                    "a@bench.example", "-t", "x@discard.test", f"127.0.0.1:{server.port}"], check=True, env=env, timeout=300)
    wait_until(lambda: removed(server) - before >= options.messages, 120, "all messages to be discarded")
    return options.messages / (time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the reference needs a private root: run as root")
    os.makedirs(WORK, exist_ok=True)
    rates = {"postfix": [], "posthouse": []}
    for pair in range(options.pairs + 1):
        for kind in (Reference, Ours):
            server = kind()
            server.start()
            try:
                measure(server, argparse.Namespace(**{**vars(options), "messages": 200}))
                rate = measure(server, options)
            finally:
                server.stop()
            if pair > 0:
                rates[kind.name].append(rate)
                print(f"{kind.name:10} {rate:8.0f} messages/s", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{options.sessions} sessions, {options.size} bytes, receive to discard, {os.cpu_count()} cores, each message synced: "
          f"median Postfix {medians['postfix']:.0f}, Posthouse {medians['posthouse']:.0f}, ratio {medians['posthouse'] / medians['postfix']:.1f}")


if __name__ == "__main__":
    main()
