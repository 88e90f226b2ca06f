#!/usr/bin/env python3
"""`make run`: an instance under run/, four messages through it, and where each ended."""
import argparse
import os
import pwd
import re
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUN = os.path.join(ROOT, "run")
BIN = os.path.join(ROOT, "build/bin")
MAIN, PEER = os.path.join(RUN, "main"), os.path.join(RUN, "peer")
MAIN_PORT, PEER_PORT = 2525, 2526
USER = pwd.getpwuid(os.geteuid()).pw_name


def command(name, *arguments, instance=MAIN, check=True, **options):
    return subprocess.run([os.path.join(BIN, name), "-c", f"{instance}/etc", *arguments], check=check, text=True, **options)


def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_up(instance):
    return os.path.exists(f"{instance}/etc/main.cf") and \
        command("posthouse", "status", instance=instance, check=False, capture_output=True).returncode == 0


def begin(instance, port):
    if is_up(instance):
        command("posthouse", "stop", instance=instance)
    if not os.path.exists(f"{instance}/etc/main.cf"):
        if not free(port):
            sys.exit(f"port {port} on 127.0.0.1 is in use by another program")
        subprocess.run([os.path.join(BIN, "posthouse"), "init", instance, "--port", str(port)], check=True,
                       stdout=subprocess.DEVNULL)
        if instance == MAIN:
            with open(f"{MAIN}/etc/main.cf", "a", encoding="utf-8") as file:
                file.write(f"\n# The second server of this demonstration.\ntransport_maps = inline:{{peer.example=smtp:[127.0.0.1]:{PEER_PORT}}}\n")
        else:
            with open(f"{PEER}/etc/main.cf", "a", encoding="utf-8") as file:
                file.write("\nmyhostname = peer.example\n")
    command("posthouse", "start", instance=instance)


def log(instance):
    with open(f"{instance}/log/mail.log", encoding="utf-8", errors="replace") as file:
        return file.read()


def wait_for(pattern, instance=MAIN, start=0, seconds=20):
    deadline = time.time() + seconds
    while time.time() < deadline:
        found = re.search(pattern, log(instance)[start:])
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"waited {seconds} s in vain for a log line like: {pattern}\n" + log(instance)[start:])


def swaks(to, subject, sender):
    subprocess.run(["swaks", "--silent", "2", "--server", "127.0.0.1", "--port", str(MAIN_PORT), "--from", sender, "--to", to,
                    "--header", f"Subject: {subject}", "--body", "Hello from make run."], check=True)


def show(title, start, queue_id, where):
    print(f"\n{title}\n  ended in: {where}\n  log lines of {queue_id}:")
    for line in log(MAIN)[start:].split("\n"):
        if queue_id in line:
            print("    " + line)


def newest(instance):
    folder = f"{instance}/mail/{USER}/new"
    files = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
    return max(files, key=os.path.getmtime) if files else "(nowhere?)"


def one(title, send, pattern, where):
    start = len(log(MAIN))
    send()
    queue_id = wait_for(pattern, start=start).group(1)
    wait_for(rf"{queue_id}: removed", start=start)
    show(title, start, queue_id, where(start))


def where_the_bounce_went(start):
    notice = wait_for(r"non-delivery notification: (\w+)", start=start).group(1)
    wait_for(rf"{notice}: removed", start=start)
    return f"a notice to its sender: {newest(MAIN)}"


def demonstrate():
    one("1. by SMTP, to a mailbox here", lambda: swaks(f"{USER}@localhost", "by SMTP", f"{USER}@localhost"),
        r"(\w+): to=<[^>]*>, relay=local,[^\n]*status=sent", lambda start: newest(MAIN))
    one("2. by sendmail(1), to a mailbox here",
        lambda: command("sendmail", USER, input=f"Subject: by sendmail\nTo: {USER}\n\nHello.\n"),
        r"(\w+): to=<[^>]*>,[^\n]*relay=local,[^\n]*status=sent", lambda start: newest(MAIN))
    one("3. by SMTP, relayed to a second server", lambda: swaks(f"{USER}@peer.example", "relayed", f"{USER}@localhost"),
        r"(\w+): to=<[^>]*@peer.example>, relay=127[^\n]*status=sent", lambda start: (time.sleep(0.5), newest(PEER))[1])
    one("4. by sendmail(1), to nobody: it bounces",
        lambda: command("sendmail", "nobody-of-that-name", input="Subject: to nobody\n\nHello?\n"),
        r"(\w+): to=<nobody-of-that-name@[^\n]*status=bounced", where_the_bounce_went)


def start():
    os.makedirs(RUN, exist_ok=True)
    begin(PEER, PEER_PORT)
    begin(MAIN, MAIN_PORT)
    demonstrate()
    print(f"""
The server is up on 127.0.0.1:{MAIN_PORT} (and its peer on {PEER_PORT}).
  send:   swaks --server 127.0.0.1:{MAIN_PORT} --to {USER}@localhost
          echo hello | build/bin/sendmail -C run/main/etc {USER}
  read:   ls run/main/mail/{USER}/new
  watch:  build/bin/posthouse -c run/main/etc log -f
  queue:  build/bin/postqueue -c run/main/etc -p
  stop:   make stop""")


def stop():
    for instance in (MAIN, PEER):
        if is_up(instance):
            command("posthouse", "stop", instance=instance)
            print(f"{os.path.relpath(instance, ROOT)} is stopped")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["start", "stop"], help="start: (again) from the beginning; stop: both servers")
    {"start": start, "stop": stop}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
