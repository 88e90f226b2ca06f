"""One side of a comparison: Debian's Postfix or ours in a private root that is kept for a whole run and laid anew for each scenario."""
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections import Counter

import dialogues
from instance import mail_in_slots, wait_until
from scenario_masks import OURS_ONLY, THEIRS_ONLY, Masker, log_blocks, maildir_name, session

MAIN = [
    "myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test localhost", "myorigin = lab.test", "mynetworks = 127.0.0.1/32",
    "local_recipient_maps = unix:passwd.byname $alias_maps", "inet_protocols = ipv4", "smtp_host_lookup = dns", "smtpd_error_sleep_time = 0",
    "smtpd_discard_ehlo_keywords = silent-discard, chunking, etrn", "smtp_connection_cache_on_demand = no", "queue_run_delay = 1000s",
    "default_database_type = hash", "service_throttle_time = 2s",
]
QUEUES = "maildrop incoming active deferred hold corrupt defer bounce trace flush saved"
WAITING = ("maildrop", "incoming", "active")
PLACES = ("/var/mailboxes", "/home", "/var/out")  # what is compared as files
SECONDS = 20
CLEAR = f"""cd /var/spool/postfix && for queue in {QUEUES}; do test -d $queue && find $queue -type f -delete; done
rm -rf /var/lib/postfix/* {' '.join(place + "/*" for place in PLACES)} /var/log/mail.log /etc/postfix
cp -a /var/kept/postfix /etc/postfix
cp -a /var/kept/passwd /var/kept/group /var/kept/shadow /etc/
mkdir -p /home/alice /home/bob
chown alice:alice /home/alice; chown bob:bob /home/bob
chmod 755 /home/alice /home/bob
"""
KEEP = """mkdir -p /var/kept /var/out; chmod 1777 /var/out
cp -a /etc/postfix /etc/passwd /etc/group /etc/shadow /var/kept/
echo nameserver 127.0.0.53 >/etc/resolv.conf
"""
LEFT = """for queue in incoming active deferred hold corrupt; do
	for file in $(find $queue -type f 2>/dev/null); do echo "== $queue $(basename $file)"; postcat -e $file; done
done"""
# Of an envelope: records that hold a time, a size or a place in the file.
UNSTEADY = re.compile(r"^(message_size|message_arrival_time|create_time|pointer_record|warning_message_time|\*\*\*)")


def settings_of(text):
    """Words of the form name=value, of the names that are known, and the other words."""
    known = [(word, re.fullmatch(r"(client|port|helo|options)=(.*)", word)) for word in text.split()]
    return dict(found.groups() for _, found in known if found), [word for word, found in known if not found]


class Side:
    def __init__(self, kind):
        self.system = kind()
        self.excused = THEIRS_ONLY if self.system.name == "postfix" else OURS_ONLY
        try:
            self.system.configure(MAIN)
            self.root = self.system.root
            self.root.run(KEEP)
            self.system.start()  # makes what the queue directory lacks
            self.stop()
            self.peers = self.root.popen(["/usr/bin/python3", os.path.join(dialogues.HERE, "scenario_peers.py")],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except BaseException:
            self.system.destroy()
            raise

    def destroy(self):
        self.system.destroy()
        self.peers.wait(10)
        self.peers.stdin.close()
        self.peers.stdout.close()

    # --- before ---

    def ask_peers(self, request):
        self.peers.stdin.write(json.dumps(request) + "\n")
        self.peers.stdin.flush()
        return self.peers.stdout.readline()

    def prepare(self, scenario):
        self.root.run(CLEAR)
        users = "\n".join(f"useradd {row}" for row in scenario.rows("users"))
        if users:
            self.root.run(users)
        script = ""
        for section in scenario.of("file", "postmap", "postalias"):
            words = section.arguments.split()
            path = words[0].partition(":")[2] if section.word != "file" else words[0]
            owner, mode = (words + ["root", "644"])[1:3] if section.word == "file" else ("root", "644")
            self.root.write(path, section.text, int(mode, 8))
            script += f"chown {owner} {path}; chmod {mode} {path}\n"
            if section.word != "file":
                script += f"{section.word} {words[0]}\n"
        self.system.configure(scenario.rows("main"))
        self.set_services(scenario.rows("master"))
        for name in ("main.cf", "master.cf"):  # Postfix's master waits while a file is new
            os.utime(self.root.path(f"/etc/postfix/{name}"), (0, 0))
        said = self.root.run(script).stdout if script else ""
        spec = {"dns": scenario.rows("dns"), "servers": {s.arguments: s.rows for s in scenario.of("server")}}
        assert self.ask_peers(spec) == "ready\n", f"{scenario.name}: [dns] or [server] cannot be read"
        return said

    def set_services(self, rows):
        """A row takes the place of the one with its name and type."""
        if not rows:
            return
        names = {tuple(row.split()[:2]) for row in rows}
        kept = [line for line in self.root.read("/etc/postfix/master.cf").splitlines() if tuple(line.split()[:2]) not in names]
        self.root.write("/etc/postfix/master.cf", "".join(line + "\n" for line in kept + rows))

    def start(self):
        argv = ["postfix", "start"] if self.system.name == "posthouse" else ["/usr/lib/postfix/sbin/master", "-w"]
        with open(os.devnull, "w", encoding="utf-8") as null:
            self.root.run(argv, stdout=null, stderr=null)

    def daemons(self):
        return [pid for pid in self.system.processes() if "/usr/lib/postfix/" in self.program(pid)]

    @staticmethod
    def program(pid):
        try:
            return os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return ""

    def stop(self):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.daemons():
                if sign == signal.SIGKILL or self.program(pid).endswith("/master"):
                    os.kill(pid, sign)
            try:
                wait_until(lambda: not self.daemons(), 10, "the end of the daemons")
                return
            except AssertionError:
                pass

    # --- actions ---

    def perform(self, scenario):
        """All that a scenario compares of this side: aspect: text."""
        said = [self.prepare(scenario)]
        self.start()
        try:
            for section in scenario.of("smtp", "mail", "sendmail", "run", "wait"):
                said.append(getattr(self, section.word)(section))
            said.append(self.wait_idle())
            queue = self.queue()
            servers = self.ask_peers({})
            said.append(self.wait_idle())
        finally:
            self.stop()
        log = self.system.log()
        mask = Masker(log + "".join(said))
        return {"replies": mask("".join(said)), "files": self.files(mask), "queue": self.envelopes(*queue, mask), "servers": self.told(servers, mask),
                "log": "\n".join(log_blocks(log, self.excused, mask))}

    def speak(self, steps, settings):
        heard = dialogues.speak(self.system, int(settings.get("port", 25)), steps)
        return "".join(f"{said}\n  {reply}\n" for _, said, reply in heard)

    def smtp(self, section):
        """[smtp client=127.0.0.2 port=587]: the lines are a dialogue."""
        settings, _ = settings_of(section.arguments)
        steps = dialogues.steps_of(section.lines, section.number + 1)
        if steps[0][1] != "connect":
            steps.insert(0, (section.number, "connect", settings.get("client", "")))
        if not steps[-1][2].upper().startswith("QUIT"):
            steps.append((section.number, "C:", "QUIT"))
        return self.speak(steps, settings)

    def mail(self, section):
        """[mail sender -> recipient ... client=127.0.0.2 port=587 helo=name options=SMTPUTF8,SIZE=3]: the lines are the message."""
        sender, _, rest = section.arguments.partition("->")
        settings, recipients = settings_of(rest)
        options = "".join(" " + option for option in settings.get("options", "").split(",") if option)
        text = section.data.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        envelope = [f"EHLO {settings.get('helo', 'c.test')}", f"MAIL FROM:<{sender.strip(' <>')}>{options}",
                    *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA"]
        steps = [(0, "connect", settings.get("client", "")), *((0, "C:", line) for line in envelope), (0, "data", text), (0, "C:", "QUIT")]
        return self.speak(steps, settings)

    def said_of(self, done):
        return f"status {done.returncode}\n" + (done.stdout + done.stderr).decode("utf-8", "backslashreplace")

    def sendmail(self, section):
        """[sendmail user option ...]: the lines are the message."""
        user, *options = shlex.split(section.arguments)
        return self.said_of(self.root.run(["sendmail", *options], user=user, input=section.data, check=False, text=False))

    def run(self, section):
        """[run user]: the lines are a script for sh."""
        return self.said_of(self.root.run(section.text, user=section.arguments or None, check=False, text=False))

    def wait(self, section):
        what, _, argument = section.arguments.partition(" ")
        if what == "idle":
            return self.wait_idle()
        if what == "log":
            self.system.wait_log(argument, SECONDS)
            return ""
        raise ValueError(f"[wait {section.arguments}]: idle, or log and a pattern")

    def busy(self):
        """Why it cannot be over yet: files on their way, sessions that are open."""
        for queue in WAITING:
            for _, _, files in os.walk(f"{self.system.queue}/{queue}"):
                if files:
                    return queue
        # New mail of ours has no name for a quarter of a second; what is not listed is of a message that is gone.
        if (fronts := mail_in_slots(self.system.queue).values()) and any(q["queue_id"].encode() in front for q in self.system.queued() for front in fronts):
            return "slots"
        log = self.system.log()
        opened = Counter(re.findall(r"/(smtpd\[\d+\]): connect from", log)) - Counter(re.findall(r"/(smtpd\[\d+\]): disconnect from", log))
        return "sessions" if opened else ""

    def wait_idle(self):
        quiet, size, deadline = 0, -1, time.monotonic() + SECONDS
        while quiet < 10:  # 0.3 s
            if time.monotonic() > deadline:
                return f"not idle: {self.busy() or 'the log grows'}\n"
            new = len(self.system.log())
            quiet, size = (quiet + 1 if new == size and not self.busy() else 0), new
            time.sleep(0.03)
        return ""

    # --- after ---

    def queue(self):
        return self.root.run(LEFT, directory="/var/spool/postfix").stdout, self.system.queued()

    @staticmethod
    def envelopes(text, queued, mask):
        """What waits: where, for whom, why, and its queue file's envelope."""
        blocks, listed = [], {q["queue_id"]: q for q in queued}
        for line in text.splitlines():
            if line.startswith("== "):
                q = listed.pop(line.split()[2], {})
                blocks.append([line, f"sender {q.get('sender')}", *sorted(f"recipient {r['address']}: {r.get('delay_reason')}"
                                                                           for r in q.get("recipients", []))])
            elif not UNSTEADY.match(line):
                blocks[-1].append(line)
        blocks += [[f"listed only: {q}"] for q in listed.values()]
        return "\n".join(sorted(mask("\n".join(block)) for block in blocks))

    def files(self, mask):
        found = []
        for place in PLACES:
            top = self.root.path(place)
            for directory, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(directory, name)
                    found.append(mask(self.file(path, place + path[len(top):])))
        return "\n".join(sorted(found))

    @staticmethod
    def file(path, inside):
        state = os.lstat(path)
        text = ""
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as file:
                text = file.read().decode("utf-8", "backslashreplace")
        return f"== {maildir_name(inside)} {state.st_mode & 0o7777:o} {state.st_uid}:{state.st_gid}\n{text}"

    @staticmethod
    def told(answer, mask):
        """Each session as a block: its commands, then its texts."""
        return "\n".join(sorted(session(place, commands, texts, mask)
                                for place, every in json.loads(answer).items() for commands, texts in every))
