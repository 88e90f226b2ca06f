"""Programs of others that send mail through sendmail(1), unchanged: the package is installed in a private root, each program says what
it always says, and the message arrives whole, with the right envelope. Mailboxes are maildirs, so that bytes can be compared."""
import email
import email.policy
import os
import shlex
import shutil

import pytest

from instance import wait_until
from package_helpers import DEB, PackageRoot, deb, install  # noqa: F401
from private_root import package_file

# 8-bit text, a line that Sendmail takes for the end, one that mbox would change, a long one.
BODY = "Grüße aus Köln ☃\n.\nFrom here on\n..two\n" + "x" * 900 + "\n\nlast line\n"


@pytest.fixture(scope="module")
def root(deb):  # noqa: F811
    with PackageRoot() as made:
        made.copy(deb, DEB)
        made.run("rm -rf /etc/postfix /var/spool/postfix; useradd -m alice; useradd -m bob; mkdir -p /home/bob; chown bob: /home/bob")
        install(made)
        made.run("postconf -e home_mailbox=Maildir/ myhostname=mx.lab.test mydestination=lab.test,localhost && postfix reload")
        yield made


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (group check)")


def arrives(root, user="bob"):
    """The one message that comes, as (envelope sender, envelope recipient, message); it is taken away."""
    folder = root.path(f"/home/{user}/Maildir/new")
    wait_until(lambda: os.path.isdir(folder) and os.listdir(folder), 20, f"a message for {user}\n" + root.run("tail -20 /var/log/mail.log", check=False).output)
    [name] = os.listdir(folder)
    with open(f"{folder}/{name}", "rb") as file:
        data = file.read()
    os.unlink(f"{folder}/{name}")
    message = email.message_from_bytes(data, policy=email.policy.default)
    return message["Return-Path"], message["X-Original-To"], message


def body_of(message):
    """Bytes after the header, as they lie in the file."""
    return message.as_bytes(policy=email.policy.compat32).split(b"\n\n", 1)[1]


def as_alice(root, *argv, text="", **options):
    return root.run("env", "-C", "/home/alice", "HOME=/home/alice", "USER=alice", "LANG=C.UTF-8", *argv, user="alice", input=text, **options)


MUTT = ("mutt", "-n", "-F", "/dev/null", "-e", "set from=alice@lab.test realname='Älice' use_envelope_from use_8bitmime copy=no charset=utf-8 "
        "send_charset=utf-8 encode_from=no", "-s", "Grüße", "-c", "carol@elsewhere.test", "bob@lab.test")


def test_mutt(root):
    needs("mutt")
    root.run("postconf -e 'transport_maps = inline:{elsewhere.test=discard:}' && postfix reload")
    done = as_alice(root, *MUTT, text=BODY)
    assert done.output == ""
    sender, recipient, message = arrives(root)
    assert (sender, recipient) == ("<alice@lab.test>", "bob@lab.test")
    assert (message["Subject"], message["From"], message["Cc"]) == ("Grüße", "Älice <alice@lab.test>", "carol@elsewhere.test")
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert body_of(message) == BODY.encode()


def test_mutt_is_told_of_a_refusal(root):
    needs("mutt")
    wait_until(lambda: root.run("mailq").output == "Mail queue is empty\n", what="an end of earlier mail")
    root.run("postconf -e 'authorized_submit_users = !alice, static:all'")
    done = as_alice(root, *MUTT, text=BODY, check=False)
    root.run("postconf -X authorized_submit_users")
    assert done.returncode == 1 and "User alice" in done.output and "is not allowed to submit mail" in done.output
    assert root.run("mailq").output == "Mail queue is empty\n"


def make_patch(root):
    root.run("git config --system safe.directory '*'")
    as_alice(root, "sh", "-c", "rm -rf repo && git init -q repo && cd repo && git config user.name 'Älice Ä' && git config user.email alice@lab.test && "
             "cat >file && git add file && git commit -q -m 'Add a file with Köln in it' && git format-patch -q -1", text=BODY)
    [patch] = [name for name in os.listdir(root.path("/home/alice/repo")) if name.endswith(".patch")]
    return patch


@pytest.mark.parametrize("options, sender", [
    (("--envelope-sender=bounces@lab.test",), "<bounces@lab.test>"),
    (("--envelope-sender=auto",), "<alice@lab.test>"),
])
def test_git_send_email(root, options, sender):
    if not os.path.exists("/usr/lib/git-core/git-send-email"):
        pytest.skip("git-email is not installed (group check)")
    patch = make_patch(root)
    done = as_alice(root, "git", "-C", "repo", "send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--to=bob@lab.test",
                    "--from=Älice Ä <alice@lab.test>", *options, patch)
    got_sender, recipient, message = arrives(root)
    assert (got_sender, recipient) == (sender, "bob@lab.test"), done.output
    assert message["Subject"] == "[PATCH] Add a file with Köln in it"
    assert message["From"] == "Älice Ä <alice@lab.test>"
    # The patch is what it was: it can be applied.
    root.write("/home/alice/received", message.as_bytes(policy=email.policy.compat32))
    as_alice(root, "sh", "-c", "rm -rf other && git init -q other && cd other && git config user.name x && git config user.email y && "
             "git am -q ../received && cmp file ../repo/file")


def test_cron(root):
    for name in ("cron-daemon-common", "cron"):  # not installed: it would start on this machine
        file = package_file(name)
        if file is None:
            pytest.skip(f"package {name} cannot be had here")
        root.run(f"dpkg --fsys-tarfile {shlex.quote(file)} | tar -x -C / --keep-directory-symlink")
    assert os.path.exists(root.path("/usr/sbin/cron"))
    root.run("getent group crontab >/dev/null || groupadd -r crontab; mkdir -p /var/spool/cron/crontabs; chgrp crontab /var/spool/cron/crontabs; "
             "chmod 1730 /var/spool/cron/crontabs; rm -f /etc/cron.d/* /run/crond.reboot")
    root.write("/tmp/body", BODY)
    root.write("/etc/cron.d/job", "SHELL=/bin/sh\nPATH=/usr/bin:/bin\nMAILTO=bob@lab.test\nLANG=C.UTF-8\n@reboot alice cat /tmp/body; echo trouble >&2\n")
    cron = root.popen(["cron", "-f"])
    try:
        sender, recipient, message = arrives(root)
    finally:
        cron.terminate()
        cron.wait(10)
    assert (sender, recipient) == ("<alice@mx.lab.test>", "bob@lab.test")
    assert message["Subject"].startswith("Cron <alice@") and "cat /tmp/body" in message["Subject"]
    assert b"\nFrom: root@mx.lab.test (Cron Daemon)\n" in message.as_bytes(policy=email.policy.compat32)
    assert message["X-Cron-Env"] and message["To"] == "bob@lab.test"
    assert body_of(message) == BODY.encode() + b"trouble\n"


PHP = """<?php
$ok = mail("bob@lab.test", "=?UTF-8?B?" . base64_encode("Grüße") . "?=", str_replace("\\n", "\\r\\n", stream_get_contents(STDIN)),
    ["From" => "Web <web@lab.test>", "Content-Type" => "text/plain; charset=utf-8", "Content-Transfer-Encoding" => "8bit", "Bcc" => "hidden@lab.test"],
    $argv[1] ?? "");
exit($ok ? 0 : 1);
"""


@pytest.mark.parametrize("option, sender", [("", "<alice@mx.lab.test>"), ("-fbounces@lab.test", "<bounces@lab.test>")])
def test_php_mail(root, option, sender):
    needs("php")
    root.run("postconf -e 'virtual_alias_maps = inline:{hidden@lab.test=alice@lab.test}' && postfix reload")
    root.write("/home/alice/mail.php", PHP)
    assert as_alice(root, "php", "mail.php", option, text=BODY).output == ""
    got, recipient, message = arrives(root)
    assert (got, recipient) == (sender, "bob@lab.test")
    assert (message["Subject"], message["From"], message["To"], message["Bcc"]) == ("Grüße", "Web <web@lab.test>", "bob@lab.test", None)
    # PHP ends the message with a line end of its own; CR LF has become LF (sendmail_fix_line_endings).
    assert body_of(message) in (BODY.encode(), BODY.encode() + b"\n")
    hidden = arrives(root, "alice")
    assert hidden[1] == "hidden@lab.test" and body_of(hidden[2]) == body_of(message)


def test_bsd_mailx_and_its_like(root):
    """s-nail in the role of mail(1)."""
    needs("s-nail")
    as_alice(root, "s-nail", "-n", "-s", "plain", "-r", "alice@lab.test", "-S", "mta=/usr/sbin/sendmail", "-S", "v15-compat=y", "-S", "sendwait", "bob@lab.test",
             text="hello\n.\nFrom me\n")
    sender, recipient, message = arrives(root)
    assert (sender, recipient, message["Subject"]) == ("<alice@lab.test>", "bob@lab.test", "plain")
    assert message.get_content() == "hello\n.\nFrom me\n"
