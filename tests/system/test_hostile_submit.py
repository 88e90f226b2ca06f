"""A hostile local user against submission: the set-group-ID commands postdrop, postqueue and postlog, as a package would install them
in a private root. mallory is an ordinary user of it with his own group and no other.

After each case: the canary of root's is as it was, what postdrop took with status 0 is there once and complete, nothing else is, the mail
system works and none of its programs crashed."""
import os
import re
import time

import pytest

from hostile_helpers import down, machine, up  # noqa: F401
from instance import wait_until
from test_submit import record, records

COMMANDS = ("postdrop", "postqueue", "postlog")


def is_complete(rows):
    return rows[0].startswith("T") and rows[-1] == "E" and "X" in rows and "M" in rows


# --- what he says to postdrop ---

EVERY_RECORD = r"""
random.seed(3)
taken, statuses = 0, {}
for kind in range(256):
    for size in (0, 1, 300, 2048, 2049):
        one = record(kind, (b"%d" % size + b"x" * size)[:size])
        for at in (4, 6, 8):
            rows = [record(r[0], r[1:]) for r in HEAD + [b"M", b"NSubject: x", b"N", b"X", b"E"]]
            if random.random() > 0.35 and chr(kind) not in "pDCOTALWwnoiV<>e":
                continue
            rows.insert(at, one)
            status = run("/usr/sbin/postdrop", "-r", data=b"".join(rows))[0]
            statuses[status] = statuses.get(status, 0) + 1
            taken += status == 0
print(json.dumps([taken, statuses]))
"""


def test_records_of_every_type_and_length(down):  # noqa: F811
    taken, statuses = down.as_mallory(EVERY_RECORD, timeout=600)
    files = down.files()
    assert set(statuses) <= {"0", "1"} and taken > 15 and statuses["1"] > 500
    assert len(files) == taken
    for rows in files.values():
        assert is_complete(rows)
        cut = rows.index("M")
        assert not {row[0] for row in rows[:cut]} - set("TAFSRViMn"), rows
        assert not {row[0] for row in rows} & set("pCDOw"), rows
    down.system.start()
    wait_until(lambda: not os.listdir(down.maildrop), 40, "pickup\n" + down.system.log()[-2000:])


def test_no_control_byte_gets_into_the_envelope(down):  # noqa: F811
    left = down.as_mallory(r"""
bad = []
for kind in b"AFSR":
    for byte in list(range(32)) + [127]:
        rows = [r if r[0] != kind else r[:-2] + bytes([byte]) + r[-2:] for r in HEAD]
        data = records(*rows, b"M", b"N", b"X", b"E")
        if run("/usr/sbin/postdrop", "-r", data=data)[0] == 0:
            bad.append([kind, byte])
print(json.dumps(bad))
""")
    for kind, byte in left:
        assert chr(kind) == "A", (chr(kind), byte)  # an attribute that is none is left out
    for rows in down.files().values():
        assert not any(re.search(r"[\0-\x1f\x7f]", row) for row in rows[:rows.index("M")])


def test_lengths_and_counts_that_have_no_end_cost_little(down):  # noqa: F811
    result = down.as_mallory(r"""
def limited():
    resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
start = time.monotonic()
cases = {
    "length": b"R" + b"\xff" * 9, "length again": b"R" + b"\xff" * 4 + b"\x0f" + b"x" * 100,
    "many recipients": records(*HEAD) + records(b"Ry@gone.test") * 300000 + records(b"M", b"N", b"X", b"E"),
    "many attributes": records(*[b"Aencoding=8bit"] * 100000),
    "many names": records(*[b"Fxxx"] * 100000),
    "big": records(*HEAD, b"M") + record(78, b"x" * 2000) * 6000 + records(b"X", b"E"),
}
out = {name: run("/usr/sbin/postdrop", "-r", data=data, preexec_fn=limited)[0] for name, data in cases.items()}
out["seconds"] = time.monotonic() - start
print(json.dumps(out))
""")
    assert result.pop("seconds") < 30
    assert result.pop("many recipients") in (0, 4)
    assert result == {"length": 1, "length again": 1, "many attributes": 1, "many names": 0, "big": 4}
    assert all(is_complete(rows) for rows in down.files().values())


# --- what he calls it with ---

def test_a_configuration_of_his_own_is_refused(down):  # noqa: F811
    out = down.as_mallory(r"""
os.makedirs("/tmp/conf", exist_ok=True)
open("/tmp/conf/main.cf", "w").write("queue_directory = /tmp/conf\nmaillog_file = /var/log/gained\nmaillog_file_prefixes = /\ncommand_directory = /tmp\n")
out = []
for name, more in (("postdrop", ["-r"]), ("postqueue", ["-p"]), ("postlog", ["hello"])):
    for argv, env in ((["-c", "/tmp/conf"], {}), ([], {"MAIL_CONFIG": "/tmp/conf"}), (["-c", "/etc/postfix/../../tmp/conf"], {}), (["-c", ""], {})):
        status, output, errors = run("/usr/sbin/" + name, *argv, *more, data=GOOD, env={"PATH": "/usr/bin", **env})
        out.append([name, status, output.decode("latin1"), errors.decode("latin1")])
print(json.dumps(out))
""")
    for name, status, output, errors in out:
        assert status == (69 if name == "postqueue" else 1) and output == "", (name, status, output)
        assert "unauthorized configuration directory name" in errors
    assert not down.root.exists("/var/log/gained") and down.files() == {}
    assert os.listdir(down.root.path("/tmp/conf")) == ["main.cf"]


def test_his_environment_has_no_say(down):  # noqa: F811
    out = down.as_mallory(r"""
env = {"LD_PRELOAD": "/tmp/nosuch.so", "LD_LIBRARY_PATH": "/tmp", "LD_DEBUG": "all", "GCONV_PATH": "/tmp", "LOCPATH": "/tmp", "MALLOC_TRACE": "/tmp/gained", "TZ": ":/etc/canary",
       "TZDIR": "/tmp", "IFS": "x", "PATH": "/tmp", "HOME": "/tmp", "LANG": "x" * 100000, "OPENSSL_CONF": "/tmp/x", "UV_THREADPOOL_SIZE": "99999999",
       "POSTHOUSE_FAULT": "write:1+=EIO", "POSTHOUSE_FAULT_PROGRAM": "postdrop", "NAME": "a\nb", "MAIL_DEBUG": "1", "MAIL_LOGTAG": "x\ny"}
print(json.dumps([run("/usr/sbin/postdrop", "-r", data=GOOD, env=env)[0], run("/usr/sbin/postqueue", "-p", env=env)[0], run("/usr/sbin/postlog", "x", env=env)[0]]))
""")
    assert out == [0, 69, 0]
    [rows] = down.files().values()
    assert is_complete(rows)


@pytest.mark.parametrize("name", COMMANDS)
def test_odd_names_and_arguments(down, name):  # noqa: F811
    out = down.as_mallory(r"""
name = sys.argv[1]
path = b"/usr/sbin/" + name.encode()
out = []
def forked(argv):
    read, write = os.pipe()
    os.close(write)
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(read, 0), os.dup2(null, 1), os.dup2(null, 2)
        libc = ctypes.CDLL(None)
        libc.execv(path, (ctypes.c_char_p * (len(argv) + 1))(*argv, None))
        os._exit(99)
    os.close(read)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
for zero in ([], [b""], [b"/"], [b"-v"], [b"%n%n%s"], [b"x" * 100000], [b"postlog\n"], [b"sendmail"], [b"../../tmp/x"]):
    out.append(forked(zero))
    if zero:
        for more in ([b"-c"], [b"-"], [b"--"], [b"-c", b"x" * 50000], [b"-r"] * 5000, [b"%n" * 1000], [b"-i", b"../../../etc/canary"], [b"-s", b"x" * 70000], [b"-v"] * 300 + [b"-p"]):
            out.append(forked(zero + more))
print(json.dumps(out))
""", name)
    assert 99 not in out and min(out) >= 0, out  # none died of a signal
    assert down.files() == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_closed_descriptors(down, name):  # noqa: F811
    out = down.as_mallory(r"""
out = []
for closed in range(8):
    read, write = os.pipe()
    os.write(write, GOOD)
    os.close(write)
    def close():
        for fd in range(3):
            if closed >> fd & 1:
                os.close(fd)
    # 0, 1 and 2 are what is open already, before they are closed.
    done = subprocess.run(["/usr/sbin/" + sys.argv[1], *sys.argv[2:]], stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=close, timeout=20)
    os.close(read)
    out.append(done.returncode)
print(json.dumps(out))
""", name, *{"postdrop": ["-r"], "postqueue": ["-p"], "postlog": ["a line"]}[name])
    files = down.files()
    assert all(is_complete(rows) and rows[1:] == ["Arewrite_context=local", "Fme", "Smallory", "Rx@gone.test", "M", "NSubject: x", "N", "Nx", "X", "E"]
               for rows in files.values())
    if name == "postdrop":
        # Without standard input there is no message; without standard output nobody could be told of it.
        assert out == [0, 1, 1, 1, 0, 1, 1, 1] and len(files) == 2
    assert min(out) >= 0, out


LIMITS = r"""
lost, out = [], {}
for what, values in (("FSIZE", (0, 1, 50, 200, 100000)), ("NOFILE", range(0, 14)), ("NPROC", (0, 1)), ("AS", (1 << 20, 10 << 20, 30 << 20)), ("STACK", (0, 8192, 65536)),
                     ("DATA", (0, 1 << 20)), ("CORE", (0,)), ("CPU", (1,)), ("MEMLOCK", (0,))):
    for value in values:
        def limit():
            number = getattr(resource, "RLIMIT_" + what)
            resource.setrlimit(number, (value, resource.getrlimit(number)[1] if what == "NOFILE" else value))
        try:
            done = subprocess.run(["/usr/sbin/postdrop", "-r"], input=GOOD, capture_output=True, preexec_fn=limit, timeout=20)
        except (OSError, subprocess.SubprocessError):
            continue
        out["%s %d" % (what, value)] = done.returncode
print(json.dumps(out))
"""


def test_limits_of_his_cannot_make_half_a_message(down):  # noqa: F811
    out = down.as_mallory(LIMITS)
    files = down.files()
    # 6 to 8: enough for the message, not for waking pickup.
    assert [out[f"NOFILE {n}"] for n in (4, 5, 6, 7, 8, 9)] == [1, 2, 0, 0, 0, 0]
    assert out["FSIZE 0"] != 0 and out["FSIZE 100000"] == 0
    assert len(files) == sum(1 for status in out.values() if status == 0), out
    assert all(is_complete(rows) for rows in files.values())


def test_signals_at_any_moment_lose_nothing_and_leave_nothing(down):  # noqa: F811
    """Status 0: the file is there. Else: no file, but after signal 9, when one that is not ready (or was just finished) may stay."""
    out = down.as_mallory(r"""
def row(number, returncode, answer):
    fields = answer.split(b"\0")
    return [number, returncode, fields[3].decode() if len(fields) > 3 else "", b"status\x000\0" in answer]
out, times = [], []
random.seed(7)
for i in range(5):  # undisturbed: how long it takes here
    process = subprocess.Popen(["/usr/sbin/postdrop", "-r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    begin = time.monotonic()
    answer, _ = process.communicate(GOOD, timeout=20)
    times.append(time.monotonic() - begin)
    out.append(row(0, process.returncode, answer))
median = sorted(times)[2]
for i in range(250):
    number = random.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGKILL])
    process = subprocess.Popen(["/usr/sbin/postdrop", "-r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if random.random() < 0.3:  # it waits in the middle
        process.stdin.write(GOOD[:30])
        process.stdin.flush()
        time.sleep(random.random() * 0.01)
        process.send_signal(number)
        time.sleep(0.002)
        rest = GOOD[30:]
    else:
        rest = GOOD
    try:
        process.stdin.write(rest)
        process.stdin.close()
    except BrokenPipeError:
        pass
    time.sleep(random.random() * 1.5 * median)
    process.send_signal(number)
    process.stdin = None
    answer, _ = process.communicate(timeout=20)
    out.append(row(number, process.returncode, answer))
print(json.dumps(out))
""")
    files = down.files()
    kept = {queue_id for _, status, queue_id, _ in out if status == 0}
    told = {queue_id for *_, queue_id, said in out if said}
    assert kept | told <= set(files)
    assert all(status in (0, -9) for *_, status, _, said in out if said), "a message that is safe was called a failure"
    assert 20 < len(kept) < 240, len(kept)  # both ends were met
    for name, rows in files.items():
        if name in kept | told:
            assert is_complete(rows)
        else:
            [number] = [number for number, _, queue_id, _ in out if queue_id == name] or [9]
            assert number == 9, (name, number)


def test_a_signal_after_the_answer_does_not_make_it_a_failure(down):  # noqa: F811
    out = down.as_mallory(r"""
out = []
for i in range(60):
    process = subprocess.Popen(["/usr/sbin/postdrop", "-r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    process.stdin.write(GOOD)
    answer = b""
    while b"status" not in answer:
        answer += process.stdout.read(1000)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process.send_signal(number)
    out.append(process.wait(20))
    process.stdin.close(), process.stdout.close()
print(json.dumps(out))
""")
    assert out == [0] * 60 and len(down.files()) == 60


def test_a_running_command_cannot_be_looked_into(down):  # noqa: F811
    out = down.as_mallory(r"""
process = subprocess.Popen(["/usr/sbin/postdrop", "-r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
process.stdout.read1(1000)
tries = {}
for what in ("fd", "mem", "maps", "environ", "cwd/.", "root/."):
    path = "/proc/%d/%s" % (process.pid, what)
    try:
        tries[what] = "yes" if (os.listdir(path) if what in ("fd", "cwd/.", "root/.") else open(path, "rb").read(1)) else "empty"
    except OSError as error:
        tries[what] = "no"
tries["ptrace"] = "no" if ctypes.CDLL(None).ptrace(16, process.pid, None, None) == -1 else "yes"
process.stdin.close()
process.wait()
tries["maildrop"] = "no"
for attempt in (lambda: os.listdir("/var/spool/postfix/maildrop"), lambda: open("/var/spool/postfix/maildrop/gained", "w")):
    try:
        attempt()
        tries["maildrop"] = "yes"
    except OSError:
        pass
print(json.dumps(tries))
""")
    assert set(out.values()) == {"no"}, out


# --- postlog and postqueue ---

def test_no_line_of_the_log_can_be_forged(up):  # noqa: F811
    up.as_mallory(r"""
for argv in (["-t", "x\nNov 24 00:00:00 mx postfix/smtpd[1]: FORGED"], ["-t", "postfix/smtpd[1]: FORGED\x1b[2J"], ["-p", "info", "a\nNov 24 00:00:00 mx postfix/smtpd[1]: FORGED"],
             ["-t", "%n%s%n", "%n%s"], ["x" * 100000], ["-t", "y" * 100000, "z"]):
    run("/usr/sbin/postlog", *argv)
run("/usr/sbin/postlog", data=b"one\0two\rthree\x1b[2J\n" + b"long" * 100000 + b"\nlast line of mallory\n")
""")
    up.system.wait_log("last line of mallory")
    log = up.system.log()
    assert not re.search(r"^Nov 24 00:00:00", log, re.M)
    assert "\x1b" not in log and "\0" not in log and "\r" not in log
    assert max(map(len, log.splitlines())) < 8300


def test_readers_of_the_queue_that_stall_hold_up_nobody(up):  # noqa: F811
    text = records("T1795318146 0", "Sx@a.test", "Ry@a.test", "M")
    content = records("N", "Nx")
    data = record("C", " ".join("%15d" % n for n in (len(content), 97 + len(text), 1, 0, len(content), 0))) + text + content + records("X", "E")
    owner = os.stat(f"{up.system.queue}/hold").st_uid
    for i in range(6000):
        path = f"{up.system.queue}/hold/{i:08X}"
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o700)
        os.chown(path, owner, owner)
    stalled = [up.root.popen(["/usr/sbin/postqueue", "-p"], user="mallory", stdout=-1) for _ in range(20)]
    try:
        time.sleep(2)
        assert all(process.poll() is None for process in stalled)
        start = time.monotonic()
        listing = up.system.command("postqueue", "-p", user="bob", timeout=30).stdout
        assert listing.endswith("in 6000 Requests.\n") and time.monotonic() - start < 10
        up.system.sendmail("Subject: passes\n\n", "alice", user="bob")
        up.system.wait_log(r"to=<alice@mx.lab.test>.*status=sent")
    finally:
        for process in stalled:
            process.kill()
            process.communicate()
        up.root.run("rm -f /var/spool/postfix/hold/*; pkill -u mallory postqueue", check=False)
    wait_until(lambda: not up.system.processes("postqueue"), 10, "the end of all postqueue")


def test_the_longest_addresses_do_not_stay_in_maildrop(up):  # noqa: F811
    """Where @myorigin has no room any more, they are bounced like others that are unknown."""
    for size in (2048, 2040, 2030):
        up.system.sendmail("Subject: x\n\n", "x" * size, user="mallory")
        up.system.sendmail("Subject: x\n\n", "-f", "y" * size, "x" * (size - 10) + "@gone.test", user="mallory")
    wait_until(lambda: not up.files() and not up.system.queued(), 20, "an empty queue")
    assert "stays there for now" not in up.system.log()


def test_users_may_look_and_flush_as_main_cf_says(up):  # noqa: F811
    """authorized_mailq_users and authorized_flush_users; root always may. sendmail -bp and -q go the same way."""
    up.system.command("postconf", "-e", "authorized_mailq_users = !mallory, static:anyone", "authorized_flush_users = bob, root")
    try:
        for argv, user, refused in ((["postqueue", "-p"], "mallory", "view"), (["postqueue", "-j"], "mallory", "view"), (["mailq"], "mallory", "view"),
                                    (["postqueue", "-p"], "bob", None), (["postqueue", "-f"], "mallory", "flush"), (["sendmail", "-q"], "mallory", "flush"),
                                    (["postqueue", "-s", "a.test"], "mallory", "flush"), (["postqueue", "-i", "ABCDEF"], "mallory", "flush"),
                                    (["postqueue", "-f"], "bob", None), (["postqueue", "-p"], "root", None), (["postqueue", "-f"], "alice", "flush")):
            done = up.root.run(argv, user=user, check=False)
            uid = up.root.run(["id", "-u", user]).stdout.strip()
            wanted = (69, f"postqueue: fatal: User {user}({uid}) is not allowed to {refused} the mail queue\n") if refused else (0, "")
            assert (done.returncode, done.stderr) == wanted, (argv, user)
    finally:
        up.system.command("postconf", "-X", "authorized_mailq_users", "authorized_flush_users")
