"""Local submission and the view of the queue: sendmail, postdrop, pickup, showq, postqueue."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from instance import BIN, USER, wait_until

DEFER = "transport_maps = inline:{{later.test = retry:not now}}"


def record(kind, data=b""):
    data = data.encode() if isinstance(data, str) else data
    length, n = b"", len(data)
    while True:
        length += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return kind.encode() + length + data


def records(*rows):
    return b"".join(record(row[0], row[1:]) for row in rows)


GOOD = ("Arewrite_context=local", "FA Name", "Salice@a.test", f"R{USER}", "M", "NSubject: dropped", "N", "Nx", "X", "E")


def parse(data):
    """The records of a file as ("T", text) pairs."""
    rows, at = [], 0
    while at < len(data):
        kind, at, n, shift = chr(data[at]), at + 1, 0, 0
        while True:
            n |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                break
        rows.append(kind + data[at:at + n].decode("latin1"))
        at += n
    return rows


def postdrop(server, data, timeout=20):
    return subprocess.run([f"{BIN}/postdrop", "-c", server.etc, "-r"], input=data, capture_output=True, timeout=timeout)


def dropped(server):
    folder = f"{server.queue}/maildrop"
    found = []
    for name in sorted(os.listdir(folder)):
        with contextlib.suppress(FileNotFoundError), open(f"{folder}/{name}", "rb") as file:  # pickup may remove it
            found.append((name, os.fstat(file.fileno()).st_mode & 0o7777, parse(file.read())))
    return found


@pytest.fixture
def down(make_instance):
    """An instance whose mail system was started once and is down."""
    server = make_instance()
    server.stop()
    return server


# --- postdrop ---

def test_postdrop_speaks_its_protocol_and_leaves_a_ready_file(down):
    start = time.monotonic()
    done = postdrop(down, records(*GOOD) + b"what follows the end is not read")
    assert time.monotonic() - start < 3
    answer = re.fullmatch(rb"protocol\0postdrop_protocol\0queue_id\0([0-9A-F]+)\0\0status\x000\0reason\0\0\0", done.stdout)
    assert answer and done.returncode == 0 and done.stderr == b""
    [(name, mode, rows)] = dropped(down)
    assert name == answer[1].decode() and mode == 0o744
    assert re.fullmatch(r"T\d{10} \d+", rows[0]) and rows[1:] == list(GOOD)


@pytest.mark.parametrize("data, status, output, error", [
    (b"", 0, rb"", ""),
    (records(*GOOD[:4]), 0, rb"", ""),  # the caller changed his mind between two records
    (records(*GOOD)[:-20], 1, rb"", "malformed input"),
    (b"garbage\n", 1, rb"", "unexpected EOF in data, record type 103 length 97"),
    (b"A\xff\xff\xff\xff\xff\xff", 1, rb"", "too many length bits, record type 65"),
    (records("Tsoon"), 1, rb"", "unexpected record type: 84"),
    (records(*GOOD[:3], "Ra\nRroot"), 1, rb"", "control byte in an envelope record"),
    (records(*GOOD[:3], "Ra\0b"), 1, rb"", "control byte in an envelope record"),
    (records(*GOOD[:5], "N" + "x" * 3000), 1, rb"", "illegal length 3000, record type 78"),
    (records("Sx", "M", "X", "E"), 1, rb"status\x001\0reason\0\0\0", ""),
])
def test_postdrop_leaves_nothing_of_what_is_no_message(down, data, status, output, error):
    done = postdrop(down, data)
    assert done.returncode == status
    assert re.fullmatch(rb"protocol\0postdrop_protocol\0queue_id\0[0-9A-F]+\0\0" + output, done.stdout)
    assert error in done.stderr.decode() and (error or not done.stderr)
    assert dropped(down) == []


def test_postdrop_leaves_out_what_users_may_not_say(down):
    done = postdrop(down, records("Asasl_username=root", "Alog_client_name=x", "Anonsense", *GOOD))
    assert done.returncode == 0
    assert "uid=%d: ignoring attribute record: sasl_username=root" % os.getuid() in done.stderr.decode()
    assert dropped(down)[0][2][1:] == list(GOOD)


def test_postdrop_refuses_what_is_too_big(make_instance):
    server = make_instance(["message_size_limit = 20000"], start=False)
    os.makedirs(f"{server.queue}/maildrop")
    done = postdrop(server, records(*GOOD[:5]) + record("N", "x" * 1000) * 20 + records("X", "E"))
    assert done.returncode == 4 and b"status\x004\0reason\0\0\0" in done.stdout and b"File too large" in done.stderr
    assert dropped(server) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_the_half_made_file_away(down, number):
    # A shell that runs the tests in the background has them, and what they start, ignore SIGINT.
    process = subprocess.Popen([f"{BIN}/postdrop", "-c", down.etc, "-r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    process.stdin.write(records(*GOOD[:6]))
    process.stdin.flush()
    wait_until(lambda: os.listdir(f"{down.queue}/maildrop"), what="a file")
    process.send_signal(number)
    assert process.wait(10) == -number
    process.communicate()
    assert dropped(down) == []


def test_postdrop_with_closed_descriptors_and_a_hostile_environment(down):
    env = {"MAIL_CONFIG": down.etc, "LD_PRELOAD": "/nonexistent", "IFS": "x", "TZ": ":/etc/passwd"}
    for redirection in ("<&- >&- 2>&-", ">&-", "2>&-"):
        subprocess.run(["/bin/sh", "-c", f"printf 'Sx' | {BIN}/postdrop -r {redirection}"], env=env, timeout=20, check=False)
        assert dropped(down) == []
    read, write = os.pipe()
    os.write(write, records(*GOOD))
    os.close(write)
    subprocess.run(["/bin/sh", "-c", f"ulimit -f 0; {BIN}/postdrop -r >&-"], stdin=read, env=env, timeout=20, check=False)
    os.close(read)
    assert dropped(down) == []


def test_a_mail_system_that_stands_still_does_not_hold_up_sendmail(make_instance):
    # Nobody hears the wakeup: master's timer has the file found.
    server = make_instance(["trigger_timeout = 1s"], replace=[("60      1       pickup", "3       1       pickup")])
    master = server.master_pid()
    pids = [master] + server.processes("pickup")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        server.sendmail("Subject: slow\n\nx\n", USER)
        assert time.monotonic() - start < 6
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert b"\nSubject: slow\n" in server.wait_mail(1)[0]


def test_only_authorized_users_may_submit_and_look(make_instance):
    server = make_instance(["authorized_submit_users = !" + USER + ", static:anyone"])
    done = server.sendmail("x\n", USER, check=False)
    assert done.returncode == 75
    assert f"User {USER}({os.getuid()}) is not allowed to submit mail" in done.stderr


# --- sendmail ---

def sent_records(server, text, *arguments, env=None):
    env = dict(os.environ, MAIL_CONFIG=server.etc, **(env or {}))
    done = subprocess.run([f"{BIN}/sendmail", *arguments], input=text, capture_output=True, timeout=20, env=env)
    assert done.returncode == 0, done.stderr
    [(name, _, rows)] = dropped(server)
    os.unlink(f"{server.queue}/maildrop/{name}")
    return rows[1:]


def test_sendmail_options_become_records(down):
    rows = sent_records(down, b"Subject: x\n\nhello", "-F", "A N", "-N", "success,delay", "-R", "hdrs", "-V", "id9", "-B8BITMIME",
                        "-XV-=", "-v", "-f", "<me@a.test>", "bob, \"q u\"@x", "carol", env={"NAME": "not this"})
    assert rows == ["Aenvelope_id=id9", "Aret_flags=2", "Arewrite_context=local", "FA N", "Sme@a.test", "Aencoding=8bit",
                    "Atrace_flags=1024", "V-=", "Anotify_flags=10", "Rbob", "Anotify_flags=10", "Rq u@x", "Anotify_flags=10",
                    "Rcarol", "M", "NSubject: x", "N", "Lhello", "X", "E"]


def test_sendmail_takes_recipients_from_the_header(down):
    text = b"From a@b Sun\nTo: a@b, c\nCc: \"X Y\" <d@e>\n (comment)\nbcc: g: h, i;\nReply-To: no\n\nTo: none\n"
    rows = sent_records(down, text, "-t", "-G", "extra", env={"NAME": "My Name"})
    assert rows == ["Arewrite_context=remote", "FMy Name", f"S{USER}", "Rextra", "M", "NTo: a@b, c", 'NCc: "X Y" <d@e>', "N (comment)",
                    "Nbcc: g: h, i;", "NReply-To: no", "N", "NTo: none", "X", "Ra@b", "Rc", "Rd@e", "Rh", "Ri", "E"]
    rows = sent_records(down, b"To: a@b\nResent-To: r@s\nResent-Cc: t\n\n", "-t", "-f", "")
    assert rows[2] == "S" and rows[-4:] == ["X", "Rr@s", "Rt", "E"]


def test_sendmail_lines(down):
    rows = sent_records(down, b"From x\n>From y\na\r\n.x\r\n" + b"z" * 5000 + b"\n.\nnot sent\n", "bob")
    assert rows[5:] == ["Na", "N.x", "L" + "z" * 2048, "L" + "z" * 2048, "N" + "z" * 904, "X", "E"]
    assert sent_records(down, b".\n", "-oi", "bob")[5:] == ["N.", "X", "E"]
    rows = sent_records(down, b"x\n", "-F", "line\nbreak", "\"a\nb\"@x", "-t", "<>")
    assert rows[1] == "Fline break" and rows[3:6] == ["Rab@x", "R-t", "R"]


@pytest.mark.parametrize("arguments, words", [
    (("-f", "a b", "bob"), "warning: -f option specified malformed sender: a b"),
    (("-N", "foo", "bob"), 'warning: unknown DSN NOTIFY command value "foo" in "foo"\nsendmail: warning: bad -N option value -- ignored'),
    (("-R", "foo", "bob"), "warning: bad -R option value -- ignored"),
    (("-V", "+=", "bob"), "warning: option -V is deprecated with Postfix 2.3; specify -XV instead"),
])
def test_sendmail_warnings(down, arguments, words):
    done = down.sendmail("x\n", *arguments)
    assert done.stderr == f"sendmail: {words}\n"
    assert len(dropped(down)) == 1


@pytest.mark.parametrize("arguments, words", [
    (("-Z", "bob"), "sendmail: invalid option -- 'Z'\nsendmail: invalid option -- 'Z'\nsendmail: fatal: usage: sendmail [options]\n"),
    (("-B", "x", "bob"), "sendmail: fatal: -B option needs 8BITMIME or 7BIT\n"),
    (("-bx", "bob"), "sendmail: fatal: unsupported: -bx\n"),
    (("-XVab", "bob"), "sendmail: fatal: -V requires two characters from -=+\n"),
    (("-qSx",), "sendmail: fatal: -qS is not implemented\n"),
    (("-qI", "ABCDEF"), "sendmail: fatal: specify: -qIqueueid\n"),
    (("-bp", "x"), "sendmail: fatal: display queue mode requires no recipient\n"),
    (("-bp", "-t"), "sendmail: fatal: -t can be used only in delivery mode\n"),
    (("-bv",), "sendmail: fatal: {}({}): Recipient addresses must be specified on the command line or via the -t option\n"),
    (("-t",), "sendmail: fatal: {}({}): No recipient addresses found in message header\n"),
    (("a" * 3000,), "sendmail: fatal: {}({}): recipient address is longer than 2048 bytes: " + "a" * 50 + "...\n"),
    (("-C", "/nonexist", "bob"), "sendmail: fatal: open /nonexist/main.cf: No such file or directory\n"),
])
def test_sendmail_says_why_not_and_ends_with_75(down, arguments, words):
    done = down.sendmail("Subject: x\n\n", *arguments, check=False)
    assert done.returncode == 75
    assert done.stderr == words.format(USER, os.getuid())
    assert dropped(down) == []


def test_sendmail_without_a_maildrop_says_so(down):
    os.rename(f"{down.queue}/maildrop", f"{down.queue}/gone")
    done = down.sendmail("x\n", "bob", check=False)
    assert done.returncode == 75
    assert "maildrop: No such file or directory" in done.stderr and "unable to execute" in done.stderr


def test_a_fault_of_the_disk_is_told(down):
    for point in ("open:1+", "write:1", "write:2", "fsync:1", "rename:1"):
        down_env = dict(os.environ, MAIL_CONFIG=down.etc, POSTHOUSE_FAULT=f"{point}=EIO", POSTHOUSE_FAULT_PROGRAM="postdrop")
        done = subprocess.run([f"{BIN}/sendmail", "bob"], input=b"x\n", capture_output=True, timeout=20, env=down_env)
        assert done.returncode == 75, point
        assert dropped(down) == []


def test_other_names_and_other_jobs_of_sendmail(down):
    down.sendmail("x\n", "bob")
    env = dict(os.environ, MAIL_CONFIG=down.etc)

    def run(name, *arguments):
        return subprocess.run([f"{BIN}/{name}", *arguments], capture_output=True, text=True, timeout=20, env=env, input="")

    listing = run("postqueue", "-p").stdout
    assert "\n                                         bob\n" in listing
    assert run("mailq").stdout == run("sendmail", "-bp").stdout == run("sendmail", "-c", down.etc, "-bp").stdout == listing
    assert run("sendmail", "-q30m").returncode == 0
    flush = run("sendmail", "-q")
    assert (flush.returncode, flush.stderr) == (69, "postqueue: fatal: Cannot flush mail queue - mail system is down\n")
    assert run("sendmail", "-qRx.test").stderr == 'postqueue: fatal: Flush service is not configured for destination "x.test"\n'
    with open(f"{down.directory}/list", "w", encoding="utf-8") as file:
        file.write("a: b\n")
    assert run("newaliases", f"-oAhash:{down.directory}/list").returncode == 0
    assert run("postalias", "-q", "a", f"hash:{down.directory}/list").stdout == "b\n"


# --- pickup ---

def put(server, name, data, mode=0o744):
    path = f"{server.queue}/maildrop/{name}"
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def test_pickup_logs_who_sent_what_and_removes_the_file(instance):
    instance.sendmail("Subject: hello\n\nbody\n", "-f", "some one@a.test", "-F", "Some One", USER)
    mail = instance.wait_mail(1)[0]
    queue_id = instance.wait_log(rf"postfix/pickup\[\d+\]: (\w+): uid={os.getuid()} from=<some>")[1]
    assert re.search(rb"\nReceived: by \S+ \(Postfix, from userid %d\)\n\tid %s; " % (os.getuid(), queue_id.encode()), mail)
    assert re.search(rb'\nFrom: "?Some One"? <some@', mail)
    wait_until(lambda: dropped(instance) == [], what="an empty maildrop")


def test_mail_dropped_while_down_is_picked_up_at_start(down):
    for i in range(30):
        down.sendmail(f"Subject: number {i}\n\n" + "line\n" * i * 1000, USER)
    assert len(dropped(down)) == 30
    down.start()
    mails = down.wait_mail(30)
    assert sorted(int(re.search(rb"\nSubject: number (\d+)\n", m)[1]) for m in mails) == list(range(30))
    assert all(m.count(b"\nline") == 1000 * int(re.search(rb"\nSubject: number (\d+)\n", m)[1]) for m in mails)
    wait_until(lambda: dropped(down) == [], what="an empty maildrop")


def test_a_bad_file_goes_to_corrupt_and_a_file_not_ready_waits(instance):
    t = record("T", "1795318146 0")
    put(instance, "AAAAA1", t + records("Sx", "Dx@y", "Rroot", "M", "X", "E"))  # a mark
    put(instance, "AAAAA2", t + records("Sx", "Rroot", "M", "p" + "%15d" % 3, "X", "E"))  # a pointer
    put(instance, "AAAAA3", t + records("Sx", f"R{USER}", "M", "NSubject: early", "N", "X", "E"), 0o644)
    put(instance, "AAAAA4", record("C", "%15d" % 1) + t + records("Sx", "Rroot", "M", "X", "E"))
    instance.sendmail("Subject: wake up\n\n", USER)
    instance.wait_mail(1)
    wait_until(lambda: len(os.listdir(f"{instance.queue}/corrupt")) == 3, what="files in corrupt\n" + instance.log())
    wait_until(lambda: [name for name, *_ in dropped(instance)] == ["AAAAA3"], what="one file in maildrop")
    assert "warning: AAAAA1: message rejected: unexpected record type: 68\n" in instance.log()
    assert 'warning: saving corrupt file "AAAAA2" from queue "maildrop" to queue "corrupt"\n' in instance.log()
    os.chmod(f"{instance.queue}/maildrop/AAAAA3", 0o744)
    instance.sendmail("Subject: again\n\n", USER)
    assert any(b"\nSubject: early\n" in m for m in instance.wait_mail(3))


def test_a_requeued_file_keeps_its_marks_and_gets_a_new_id(instance):
    envelope = records("T1795318146 0", "Alog_ident=OLD", "Salice@a.test", "Ofirst@a.test", "Dnever@again.test", "Ooriginal@a.test",
                       f"R{USER}@localhost", "M")
    content = records("NReceived: once", "NSubject: requeued", "N", "Nx")
    size = " ".join("%15d" % n for n in (len(content), 97 + len(envelope), 2, 0, len(content), 0))
    put(instance, "BBBBB1", record("C", size) + envelope + content + records("X", "Amessage_id=<old@a>", "E"), 0o700)
    instance.sendmail("Subject: wake up\n\n", USER)
    mail = next(m for m in instance.wait_mail(2) if b"\nSubject: requeued\n" in m)
    instance.wait_log(rf": uid={os.getuid()} from=<alice@a.test> orig_id=BBBBB1$")
    assert b"from userid" not in mail and b"\nX-Original-To: original@a.test\n" in mail
    assert "never@again" not in instance.log()


def test_content_filter_of_local_mail(make_instance):
    server = make_instance(["content_filter = smtp:[127.0.0.1]:1", "defer_transports = smtp", DEFER])
    server.sendmail("Subject: x\n\n", "bob@later.test")
    queue_id = wait_until(lambda: [m["queue_id"] for m in server.queued() if m["queue_name"] == "deferred"], what="a deferred message")[0]
    rows = server.command("postcat", "-eq", queue_id).stdout
    assert "\ncontent_filter: smtp:[127.0.0.1]:1\n" in rows


def test_mail_waits_in_maildrop_while_cleanup_is_away(make_instance):
    server = make_instance(replace=[("cleanup   unix  n", "#cleanup  unix  n")])
    server.sendmail("Subject: patient\n\nx\n", USER)
    server.wait_log(r"postfix/pickup\[\d+\]: warning: maildrop/\w+ stays there for now: ")
    assert len(dropped(server)) == 1
    with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
        text = file.read()
    with open(f"{server.etc}/master.cf", "w", encoding="utf-8") as file:
        file.write(text.replace("#cleanup  unix", "cleanup   unix"))
    server.stop()
    server.start()
    assert b"\nSubject: patient\n" in server.wait_mail(1)[0]


# --- the queue ---

def showq(server):
    with socket.socket(socket.AF_UNIX) as client:
        # The path may be longer than a socket address.
        directory = os.open(server.queue, os.O_PATH)
        client.connect(f"/proc/self/fd/{directory}/public/showq")
        os.close(directory)
        client.settimeout(20)
        data = b""
        while piece := client.recv(65536):
            data += piece
    return data


@pytest.fixture
def waiting(make_instance):
    """One deferred message to two recipients, one of them with a strange name."""
    server = make_instance([DEFER])
    server.sendmail("Subject: x\n\nx\n", "-f", "alice@a.test", '"q u"@later.test', "bob@later.test")
    server.wait_log(r"postfix/error\[\d+\]: \w+: to=<bob@later.test>.*status=deferred")
    return server, wait_until(lambda: [m for m in server.queued() if m["queue_name"] == "deferred"], what="a deferred message")[0]


def test_showq_bytes(waiting):
    server, message = waiting
    assert showq(server) == (
        b"protocol\0mail_queue_list_protocol\0\0queue_name\0deferred\0queue_id\0%s\0time\0%d\0size\0%d\0forced_expire\x000\0"
        b"sender\0alice@a.test\0recipient\0bob@later.test\0reason\0not now\0recipient\0\"q u\"@later.test\0reason\0not now\0\0\0"
        % (message["queue_id"].encode(), message["arrival_time"], message["message_size"]))
    assert showq(server).count(b"queue_id") == 1


def test_postqueue_formats(waiting):
    server, message = waiting
    queue_id = message["queue_id"]
    assert json.loads(server.command("postqueue", "-j").stdout) == {
        "queue_name": "deferred", "queue_id": queue_id, "arrival_time": message["arrival_time"],
        "message_size": message["message_size"], "forced_expire": False, "sender": "alice@a.test", "recipients": [
            {"address": "bob@later.test", "delay_reason": "not now"}, {"address": '"q u"@later.test', "delay_reason": "not now"}]}
    when = time.strftime("%a %b %d %H:%M:%S", time.localtime(message["arrival_time"]))
    for flag, mode, queue in (("", 0o700, "deferred"), ("#", 0o710, "deferred"), ("!#", 0o710, "hold")):
        old = f"{server.queue}/deferred/{queue_id[0]}/{queue_id}"
        new = old if queue == "deferred" else f"{server.queue}/hold/{queue_id}"
        os.rename(old, new)
        os.chmod(new, mode)
        assert server.command("postqueue", "-p").stdout == (
            "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
            f"{queue_id + flag:<11} {message['message_size']:>7} {when}  alice@a.test\n"
            + f"{'(not now)':>78}\n" + 41 * " " + "bob@later.test\n" + 41 * " " + '"q u"@later.test\n\n' "-- 0 Kbytes in 1 Request.\n")


def test_the_queue_can_be_seen_while_down(waiting):
    server, _ = waiting
    up = {arguments: server.command("postqueue", arguments).stdout for arguments in ("-p", "-j")}
    server.stop()
    for arguments, text in up.items():
        done = server.command("postqueue", arguments)
        assert done.stdout == text
        assert re.fullmatch(r"postqueue: warning: Mail system is down -- accessing queue directly \(Connect to the Postfix showq service: "
                            r"Connection refused\)\n", done.stderr)
    done = server.command("postqueue", "-f", check=False)
    assert (done.returncode, done.stderr) == (69, "postqueue: fatal: Cannot flush mail queue - mail system is down\n")


def test_a_showq_that_cannot_start_does_not_hold_up_postqueue(make_instance):
    """master takes the connection, and nobody answers: the queue is looked at directly."""
    server = make_instance(["trigger_timeout = 1s", DEFER], replace=[("showq     unix  n       -       n       -       -       showq", "showq unix n - n - - showq -X")])
    server.sendmail("Subject: x\n\nx\n", "bob@later.test")
    server.wait_log(r"to=<bob@later.test>.*status=deferred")
    start = time.monotonic()
    done = server.command("postqueue", "-p", timeout=15)
    assert time.monotonic() - start < 8
    assert "bob@later.test\n" in done.stdout
    assert done.stderr == ("postqueue: warning: Mail system is down -- accessing queue directly (Connect to the Postfix showq service: "
                           "Connection timed out)\n")


def test_flush_tries_again_at_once(waiting):
    server, message = waiting
    pattern = rf"{message['queue_id']}: to=<bob@later.test>.*status=deferred"
    assert server.command("postqueue", "-f").stderr == ""
    server.wait_log(pattern, count=2)


USAGE = "postqueue: fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site\n"


@pytest.mark.parametrize("arguments, error", [
    ((), USAGE),
    (("-x",), "postqueue: invalid option -- 'x'\n" + USAGE),
    (("-p", "extra"), USAGE),
    (("-p", "-j"), USAGE),
    (("-s", "nosuch.example"), 'postqueue: fatal: Flush service is not configured for destination "nosuch.example"\n'),
    (("-s", "@"), 'postqueue: fatal: Cannot flush mail queue - invalid destination: "@"\n'),
    (("-i", "a/b"), 'postqueue: fatal: Cannot flush queue ID - invalid name: "a/b"\n'),
])
def test_postqueue_says_why_not_and_ends_with_69(down, arguments, error):
    done = down.command("postqueue", *arguments, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (69, "", error)


def test_a_long_queue_is_listed_with_little_memory(make_instance):
    server = make_instance()
    text = records("T1795318146 0", "Sx@a.test", "Ry@a.test", "M")
    content = records("N", "Nx")
    size = " ".join("%15d" % n for n in (len(content), 97 + len(text), 1, 0, len(content), 0))
    data = record("C", size) + text + content + records("X", "E")
    for i in range(5000):
        path = f"{server.queue}/hold/{i:08X}"
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o700)
    assert server.command("postqueue", "-p").stdout.endswith("\n-- %d Kbytes in 5000 Requests.\n" % (5000 * len(content) // 1024))
    with open(f"/proc/{server.processes('showq')[0]}/status", encoding="utf-8") as file:
        high_water = int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1])
    assert high_water < 60000
