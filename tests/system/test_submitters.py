"""Programs of others that submit through /usr/sbin/sendmail, unchanged: ours is /usr/sbin/sendmail of a private root."""
import re

import pytest
from reference import Ours


@pytest.fixture(scope="module")
def server():
    made = Ours()
    try:
        made.configure(["myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test",
                        "local_recipient_maps ="])
        made.start()
        yield made
    finally:
        made.destroy()


def need(server, program):
    if server.root.run(f"command -v {program} || ls /usr/lib/git-core/{program}", check=False).returncode != 0:
        pytest.skip(f"{program} is not installed")


def arrived(server, subject, user="alice"):
    from instance import wait_until
    pattern = re.compile(rb"^Subject: " + subject.encode(), re.M)
    return wait_until(lambda: [m for m in server.mailbox(user) if pattern.search(m)], what=subject)[0]


def test_mutt(server):
    need(server, "mutt")
    server.root.run(["mutt", "-F", "/dev/null", "-s", "from mutt", "-c", "bob@lab.test", "--", "alice@lab.test"], user="bob", directory="/tmp",
                    env={"HOME": "/home/bob"}, input="Grüße\n.\nafter a dot\n")
    message = arrived(server, "from mutt")
    assert b"\n.\nafter a dot\n" in message and message.startswith(b"Return-Path: <bob@lab.test>")
    arrived(server, "from mutt", "bob")


def test_git_send_email(server):
    need(server, "git-send-email")
    server.root.run("""set -e
rm -rf /tmp/repo; mkdir /tmp/repo; cd /tmp/repo; git init -q .; git config user.name 'Bob B.'; git config user.email bob@lab.test
echo x >x; git add x; git commit -qm 'a patch to mail'
git format-patch -q --root -1
git send-email --quiet --confirm=never --to=alice@lab.test --from='Bob B. <bob@lab.test>' 0001-*.patch 2>&1
""", user="bob", env={"HOME": "/tmp"})
    message = arrived(server, r"\[PATCH\] a patch to mail")
    assert b"From: \"Bob B.\" <bob@lab.test>" in message or b"From: Bob B. <bob@lab.test>" in message
    assert b"\n+x\n" in message


def test_cron(server):
    need(server, "cron")
    server.root.run("printf 'MAILTO=alice\\n@reboot echo said by cron\\n' | crontab -u bob -")
    daemon = server.root.popen(["cron", "-f"])
    try:
        message = arrived(server, r"Cron <bob@")
    finally:
        server.root.run("kill $(cat /run/crond.pid)")
        daemon.wait(10)
    assert b"\nsaid by cron\n" in message and b"\nTo: alice" in message
    assert b"\nX-Cron-Env: <" in message and message.startswith(b"Return-Path: <bob@lab.test>")


def test_php_mail(server):
    need(server, "php")
    server.root.run(["php", "-n", "-r", 'exit(mail("alice@lab.test", "from php", "line one\r\nline two", "From: web@lab.test\r\nCc: '
                     'bob@lab.test", "-fbounces@lab.test") ? 0 : 1);'], user="bob")
    message = arrived(server, "from php")
    assert message.startswith(b"Return-Path: <bounces@lab.test>") and b"\nFrom: web@lab.test\n" in message
    assert b"\r" not in message and message.endswith(b"\n\nline one\nline two\n")
    arrived(server, "from php", "bob")


def test_options_that_other_programs_pass(server):
    def sendmail(*options, text="x\n"):
        return server.sendmail(text, *options, user="bob", check=False)
    for options in (("-oi", "-f", "s@lab.test", "-F", "Some One", "-N", "never", "-R", "hdrs", "-V", "id1", "-G", "-B8BITMIME", "-h", "3",
                     "-m", "-v", "-L", "tag", "-oem", "-odi", "-U", "alice"), ("-t",)):
        text = "Subject: all options\nTo: alice\n\n.\nend\n" if options == ("-t",) else "Subject: all options\n\n.\nend\n"
        done = sendmail(*options, text=text)
        assert done.returncode == 0, (options, done)
    assert b"\n\nend" not in arrived(server, "all options")
