"""pipe(8): what a command gets, whose rights it has, and what its end means for the mail."""
import os
import re
import shutil

import pytest

from instance import wait_until
from root_instance import USERS, RootInstance

SHOW = "#!/bin/sh\nexec >{out}.new 2>&1\nid -u; id -G; pwd\nfor a; do echo \"arg[$a]\"; done\nenv | grep -v ^_= | sort\necho ---\ncat\nmv {out}.new {out}\n"


class Lab:
    """An instance of root's with rows of pipe: `rows` is {name: attributes}, mail for NAME.test goes to NAME."""

    def __init__(self):
        self.server = RootInstance()
        self.out = f"{self.server.directory}/out"
        os.mkdir(self.out)
        os.chmod(self.out, 0o777)
        self.script("show", SHOW.format(out=f"{self.out}/seen"))
        self.script("end", "#!/bin/sh\ncat >/dev/null\nstatus=$1\nshift\ntest -n \"$*\" && echo \"$*\"\nexit $status\n")

    def script(self, name, text):
        path = f"{self.out}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def start(self, main=(), **rows):
        server = self.server
        maps = " ".join(f"{{{name}.test = {name}:Hop.{name}}}" for name in rows)
        server.write_main([f"transport_maps = inline:{{ {maps} }}", "relay_domains = static:ok", "recipient_delimiter = +", *main])
        with open(f"{server.etc}/master.cf", "a", encoding="utf-8") as file:
            for name, attributes in rows.items():
                file.write(f"{name} unix - n n - - pipe\n  {attributes.format(out=self.out)}\n")
        server.start()

    def send(self, *recipients, sender="s@a.test", text="Subject: x\r\n\r\nbody\r\n", options=()):
        with self.server.smtp() as client:
            client.sendmail(sender, list(recipients), text, mail_options=list(options))

    def seen(self):
        wait_until(lambda: os.path.exists(f"{self.out}/seen"), 20, "the command" + self.server.log()[-2000:])
        with open(f"{self.out}/seen", "rb") as file:
            head, _, body = file.read().partition(b"---\n")
        os.unlink(f"{self.out}/seen")
        return head.decode().splitlines(), body


@pytest.fixture
def lab():
    made = Lab()
    yield made
    made.server.destroy()


def arguments(lines):
    return [line[4:-1] for line in lines if line.startswith("arg[")]


def test_arguments_tell_of_message_and_recipients(lab):
    lab.start(main=["all_destination_recipient_limit = 10"],
              all="user=victim argv={out}/show ${{sender}} ${{recipient}} -x${{extension}} ${{user}}=${{mailbox}}@${{domain}} $nexthop ${{size}} {{a b }} {{}} $$ "
              "${{client_address}}/${{client_helo}}/${{client_protocol}} ${{queue_id}}")
    lab.send("A+e@all.test", "b@all.test")
    lines, _ = lab.seen()
    given = arguments(lines)
    assert given[:8] == ["s@a.test", "A+e@all.test", "b@all.test", "-xe", "-x", "A=A+e@all.test", "b=b@all.test", "Hop.all"]
    assert int(given[8]) > 100 and given[9:12] == ["a b", "", "$"] and given[12].startswith("127.0.0.1/") and given[12].endswith("/ESMTP")
    lab.server.wait_log(rf"{given[13]}: to=<A\+e@all.test>, relay=all, .*status=sent \(delivered via all service\)")


def test_what_strangers_write_stays_one_argument(lab):
    lab.start(raw="flags=q user=victim argv={out}/show ${{recipient}} ${{sender}}")
    lab.send("\"a b;$x `id` ${sender}\"@raw.test", sender="\"|id\"@a.test")
    lines, _ = lab.seen()
    assert arguments(lines) == ["\"a b;$x `id` ${sender}\"@raw.test", "|id@a.test"]


def test_flags_of_arguments(lab):
    lab.start(fold="flags=hu user=victim argv={out}/show ${{recipient}} ${{nexthop}} ${{user}} ${{domain}}")
    lab.send("Joe+X@FOLD.test")
    assert arguments(lab.seen()[0]) == ["joe+x@fold.test", "hop.fold", "joe", "fold.test"]


def test_fields_and_bytes_on_standard_input(lab):
    lab.start(bytes="flags=DFOR.>B user=victim eol=\\r\\n argv={out}/show")
    lab.send("j@bytes.test", text="Subject: x\r\n\r\nFrom me\r\n.dot\r\n\xe9\r\n".encode("latin-1"))
    body = lab.seen()[1]
    assert re.match(rb"From s@a\.test  \w{3} .*\r\nReturn-Path: <s@a\.test>\r\nX-Original-To: j@bytes\.test\r\nDelivered-To: j@bytes\.test\r\n", body)
    assert body.endswith(b"\r\n\r\n>From me\r\n..dot\r\n\xe9\r\n\r\n")


def test_message_is_unchanged_without_flags(lab):
    lab.start(bytes="user=victim argv={out}/show")
    lab.send("j@bytes.test", text="Subject: x\r\n\r\nFrom me\r\n.dot")
    body = lab.seen()[1]
    assert body.startswith(b"Received: ") and body.endswith(b"\n\nFrom me\n.dot\n")


def test_null_sender(lab):
    lab.start(one="flags=R user=victim argv={out}/show ${{sender}}", two="flags=R user=victim null_sender= argv={out}/show ${{sender}} end")
    lab.send("a@one.test", sender="")
    lines, _ = lab.seen()
    assert arguments(lines) == ["MAILER-DAEMON"]
    lab.send("a@two.test", sender="")
    lines, body = lab.seen()
    assert arguments(lines) == ["", "end"] and body.startswith(b"Return-Path: <>\n")


def test_rights_and_environment(lab):
    lab.start(me="user=victim argv={out}/show", group="user=victim:mallory directory=/ argv={out}/show")
    lab.send("a@me.test")
    lines, _ = lab.seen()
    assert lines[0] == str(USERS["victim"]) and lines[1] == str(USERS["victim"]) and lines[2] == lab.server.queue
    names = {line.split("=")[0] for line in lines[3:]}
    assert "PATH=/usr/bin:/bin" in lines and "MAIL_CONFIG" in names and names <= {"PATH", "MAIL_CONFIG", "LANG", "TZ", "PWD"}
    lab.send("a@group.test")
    lines, _ = lab.seen()
    assert lines[:3] == [str(USERS["victim"]), str(USERS["mallory"]), "/"]


def test_export_environment(lab):
    lab.start(main=["export_environment = MAIL_CONFIG GREETING=hello"], me="user=victim argv={out}/show")
    lab.send("a@me.test")
    assert "GREETING=hello" in lab.seen()[0]


STATUSES = {0: ("2.0.0", r"sent \(delivered via e0 service \(out\)\)"), 1: ("5.3.0", r"bounced \(Command died with status 1: \"\S+/end\". Command output: out \)"),
            64: ("5.3.0", r"bounced \(command line usage error. Command output: out \)"), 67: ("5.1.1", r"bounced \(user unknown. Command output: out \)"),
            73: ("5.2.0", r"bounced \(can't create user output file. Command output: out \)"), 75: ("4.3.0", r"deferred \(temporary failure. Command output: out \)"),
            77: ("5.7.0", r"bounced \(permission denied. Command output: out \)"), 78: ("5.3.5", r"bounced \(local configuration error. Command output: out \)")}


def test_exit_status_and_output(lab):
    lab.start(**{f"e{status}": f"user=victim argv={{out}}/end {status} out" for status in STATUSES},
              code="user=victim argv={out}/end 1 {{4.7.5 busy}}", silent="user=victim argv={out}/end 67",
              sig="user=victim argv=/bin/sh -c {{kill -9 $$$$}}", odd="user=victim argv=/bin/sh -c {{printf 'a\\tb\\001\\nc\\n'; exit 69}}",
              none="user=victim argv=/nonexistent/x", script="user=victim argv={out}/plain")
    lab.script("plain", "cat >/dev/null; exit 67\n")
    for status, (code, words) in STATUSES.items():
        lab.send(f"u@e{status}.test")
        lab.server.wait_log(rf"to=<u@e{status}.test>, relay=e{status}, .*dsn={code}, status={words}")
    for name, words in {"code": r"dsn=4.7.5, status=deferred \(busy \)", "silent": r"dsn=5.1.1, status=bounced \(user unknown\)",
                        "sig": r"dsn=4.3.0, status=deferred \(Command died with signal 9: \"/bin/sh\"\)",
                        "odd": r"bounced \(service unavailable. Command output: a b_ c \)", "script": r"bounced \(user unknown\)",
                        "none": r"dsn=4.3.0, status=deferred \(temporary failure. Command output: pipe: fatal: pipe_command: execvp /nonexistent/x: No such file"}.items():
        lab.send(f"u@{name}.test")
        lab.server.wait_log(rf"to=<u@{name}.test>.*{words}")


def test_programs_that_misbehave(lab):
    lab.start(main=["stays_time_limit = 2s", "leaves_time_limit = 20s"],
              deaf="user=victim argv=/bin/true", dies="user=victim argv=/bin/sh -c {{exec <&-; sleep 0.2; exit 69}}",
              floods="user=victim argv=/bin/sh -c {{yes flood | head -c 3000000; exit 69}}", stays="user=victim argv=/bin/sh -c {{sleep 60; exit 0}}",
              leaves="user=victim argv=/bin/sh -c {{sleep 60 >/dev/null 2>&1 & exit 0}}")
    big = "Subject: x\r\n\r\n" + ("x" * 70 + "\r\n") * 4000
    for name, words in {"deaf": r"status=sent", "dies": r"bounced \(service unavailable\)", "floods": r"dsn=5.3.0, status=bounced \(service unavailable. Command output: (flood ){100}",
                        "leaves": r"status=sent", "stays": r"dsn=5.3.0, status=bounced \(Command time limit exceeded: \"/bin/sh\"\)"}.items():
        lab.send(f"u@{name}.test", text=big)
        lab.server.wait_log(rf"to=<u@{name}.test>.*{words}")


def test_what_is_refused(lab):
    lab.start(size="user=victim size=300 argv=/bin/true", loop="flags=D user=victim argv=/bin/true", dir="user=victim directory=/nonexistent argv=/bin/true",
              jail="user=victim chroot=/nonexistent argv=/bin/true", name="user=victim argv=/bin/true ${{nosuch}}")
    lab.send("u@size.test", text="Subject: x\r\n\r\n" + "x" * 500)
    lab.send("u@loop.test", text="Delivered-To: U@loop.test\r\n\r\nx")
    for name in ("dir", "jail", "name"):
        lab.send(f"u@{name}.test")
    for words in (r"to=<u@size.test>.*dsn=5.2.3, status=bounced \(message too large\)", r"to=<u@loop.test>.*dsn=5.4.6, status=bounced \(mail forwarding loop for u@loop.test\)",
                  r"fatal: cannot change directory to \"/nonexistent\" for uid=\d+ gid=\d+: No such file", r"to=<u@dir.test>.*dsn=4.3.0, status=deferred \(temporary failure\)",
                  r"fatal: chroot\(/nonexistent\): No such file", r"to=<u@jail.test>.*status=deferred \(temporary failure\)",
                  r"service name: unknown macro name: \"nosuch\"", r"to=<u@name.test>.*dsn=4.3.5, status=deferred \(mail system configuration error\)"):
        lab.server.wait_log(words)


@pytest.mark.parametrize("attributes, words", [
    ("user=root argv=/bin/true", "user= command-line attribute specifies root privileges"), ("user=phowner argv=/bin/true", "specifies mail system owner phowner"),
    ("user=nosuch argv=/bin/true", "unknown username: nosuch"), ("user=victim", "missing argv= command-line attribute"), ("argv=/bin/true", "missing user= command-line attribute"),
    ("flags=Z user=victim argv=/bin/true", "unknown flag: Z"), ("color=red user=victim argv=/bin/true", "unknown attribute name: color=red"),
    ("user=victim:root argv=/bin/true", "specifies root privileges")])
def test_rows_that_are_refused(lab, attributes, words):
    lab.start(bad=attributes)
    lab.send("u@bad.test")
    lab.server.wait_log(f"fatal: .*{words}")


def test_jail(lab):
    """chroot=: the command sees only what is there."""
    shell = "/bin/busybox"
    if not os.path.exists(shell):
        pytest.skip("needs busybox, which is linked statically")
    jail = f"{lab.server.directory}/jail"
    os.mkdir(jail)
    shutil.copy(shell, f"{jail}/busybox")
    lab.start(jail=f"user=victim chroot={jail} argv=/busybox ls /")
    lab.send("u@jail.test")
    lab.server.wait_log(r"to=<u@jail.test>.*status=sent \(delivered via jail service \(busybox\)\)")


def test_pipe_delivery_status_filter(lab):
    with open(f"{lab.server.etc}/filter", "w", encoding="utf-8") as file:
        file.write("/^5\\.1\\.1 user unknown/ 4.1.1 not yet known\n/^2\\.0\\.0 delivered via ok/ 2.1.5 taken\n/^4/ 2.0.0 never\n")
    lab.start(main=[f"pipe_delivery_status_filter = regexp:{lab.server.etc}/filter"], soft="user=victim argv={out}/end 75",
              no="user=victim argv={out}/end 67", ok="user=victim argv={out}/end 0")
    lab.send("u@no.test")
    lab.send("u@ok.test")
    lab.server.wait_log(r"to=<u@no.test>.*dsn=4.1.1, status=deferred \(not yet known\)")
    lab.server.wait_log(r"to=<u@ok.test>.*dsn=2.1.5, status=sent \(taken\)")
    lab.send("u@soft.test")
    lab.server.wait_log(r"warning: pipe_delivery_status_filter: bad status code: 2.0.0 never")
    lab.server.wait_log(r"to=<u@soft.test>.*dsn=4.3.0, status=deferred \(temporary failure\)")
