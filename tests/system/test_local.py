"""local(8): aliases, lists, .forward files, commands, files, other transports."""
import os
import re

import pytest

from instance import wait_until
from local_lab import LocalLab
from root_instance import USERS

NOBODY = 65534


@pytest.fixture
def lab():
    made = LocalLab()
    yield made
    made.server.destroy()


def test_local_members_are_delivered_at_once_and_others_handed_on(lab):
    lab.start(aliases="team: victim, inner, x@other.test\ninner: mallory, victim\n")
    lab.send("team")
    lab.logs(r"to=<victim@\S+>, orig_to=<team@localhost>, relay=local, .*status=sent \(delivered to maildir\)")
    lab.logs(r"to=<mallory@\S+>, orig_to=<team@localhost>, .*status=sent \(delivered to maildir\)")
    new = lab.logs(r"to=<team@localhost>, relay=local, .*status=sent \(forwarded as (\w+)\)").group(1)
    lab.logs(rf"{new}: to=<x@other.test>, orig_to=<team@localhost>, relay=none")
    text = lab.mails("victim")[0]
    assert "X-Original-To: team@localhost\n" in text and "\nDelivered-To: team@localhost\n" in text
    lab.mails("mallory")


def test_owner_gets_the_bounces_of_a_list(lab):
    lab.start(aliases="list: victim, x@other.test\nowner-list: mallory\n")
    lab.send("list+foo")
    new = lab.logs(r"to=<list\+foo@localhost>, .*\(forwarded as (\w+)\)").group(1)
    lab.logs(rf"{new}: from=<owner-list@\S+>, .*nrcpt=2")
    assert lab.mails("victim")[0].startswith("Return-Path: <owner-list@")


def test_expand_owner_alias(lab):
    lab.start("expand_owner_alias = yes", aliases="list: victim\nowner-list: boss@other.test\n")
    lab.send("list")
    assert lab.mails("victim")[0].startswith("Return-Path: <boss@other.test>")


def test_loops_and_names_among_their_own_members(lab):
    lab.start(aliases="a: b\nb: a, victim\nmallory: mallory, victim\nempty: ,\n" + "".join(f"c{i}: c{i + 1}\n" for i in range(40)) + "c40: victim\n")
    lab.send("a")
    lab.logs(r"to=<[ab]@\S+>, orig_to=<a@localhost>.*dsn=5.4.6, status=bounced \(alias database loop for [ab]\)")
    lab.mails("victim")
    lab.send("mallory")
    lab.mails("mallory")
    lab.mails("victim", 2)
    lab.send("c0")
    lab.logs(r"to=<c25@\S+>, orig_to=<c0@localhost>.*alias database loop for c25")
    lab.send("c20")
    lab.mails("victim", 3)
    lab.send("empty")
    lab.logs(r"no recipient in alias lookup result for empty")
    lab.send("victim", text="Delivered-To: VICTIM@localhost\r\n\r\nx")
    lab.logs(r"dsn=5.4.6, status=bounced \(mail forwarding loop for victim@localhost\)")


def test_command_of_an_alias_is_nobodys(lab):
    lab.start(aliases="cmd: \"|{out}/show a 'b c'\"\n")
    lab.send("cmd+Ext")
    lab.logs(r"to=<cmd\+Ext@localhost>, .*status=sent \(delivered to command: \S+/show a 'b c'\)")
    lines, body = lab.seen("cmd")
    assert lines[:5] == [str(NOBODY), str(NOBODY), lab.server.queue, "arg[a]", "arg[b c]"]
    environment = dict(line.split("=", 1) for line in lines[5:])
    expected = {"USER": "cmd", "LOGNAME": "cmd", "LOCAL": "cmd+ext", "EXTENSION": "ext", "DOMAIN": "localhost", "RECIPIENT": "cmd+Ext@localhost",
                "ORIGINAL_RECIPIENT": "cmd+Ext@localhost", "SENDER": "s@a.test", "CLIENT_ADDRESS": "127.0.0.1", "CLIENT_PROTOCOL": "ESMTP", "PATH": "/usr/bin:/bin"}
    assert expected.items() <= environment.items() and "HOME" not in environment and "SHELL" not in environment
    assert re.match(rb"From s@a\.test  .*\nReturn-Path: <s@a\.test>\nX-Original-To: cmd\+Ext@localhost\nDelivered-To: cmd\+Ext@localhost\n", body)
    assert body.endswith(b"\n\nbody\n")


def test_default_privs(lab):
    lab.start("default_privs = mallory", aliases="cmd: \"|{out}/show\"\n")
    lab.send("cmd")
    assert lab.seen("cmd")[0][0] == str(USERS["mallory"])


def test_status_of_commands(lab):
    lab.start(aliases="a67: \"|{out}/end 67 nobody here\"\na1: \"|{out}/end 1\"\nmix: \"|{out}/end 75 later\", victim, x@other.test\ndie: \"|kill -9 $$\"\nnone: \"|/nonexistent/x y\"\n")
    for name, words in {"a67": r"dsn=5.1.1, status=bounced \(user unknown. Command output: nobody here \)", "a1": r"status=bounced \(Command died with status 1: \"\S+/end 1\"\)",
                        "die": r"status=deferred \(Command died with signal 9: \"kill -9 \$\$\"\)",
                        "none": r"status=deferred \(temporary failure. Command output: local: fatal: execvp /nonexistent/x: No such file or directory \)"}.items():
        lab.send(name)
        lab.logs(rf"to=<{name}@localhost>.*{words}")
    # While one member waits all will be tried again: nobody is handed on meanwhile, and nothing is marked.
    lab.send("mix")
    lab.logs(r"to=<mix@localhost>.*status=deferred \(temporary failure. Command output: later \)")
    lab.mails("victim")
    assert "x@other.test" not in lab.server.log()
    lab.server.command("postqueue", "-f")
    lab.mails("victim", 2)


def test_command_time_limit(lab):
    lab.start("command_time_limit = 1s", aliases="slow: \"|sleep 30\"\n")
    lab.send("slow")
    lab.logs(r"to=<slow@localhost>.*dsn=5.3.0, status=bounced \(Command time limit exceeded: \"sleep 30\"\)")


def test_files(lab):
    lab.start(aliases="file: {out}/box\nnull: /dev/null\ndir: {out}/md/\nno: /nonexistent/x/y\n")
    for name, words in {"file": r"status=sent \(delivered to file: \S+/box\)", "null": r"delivered to file: /dev/null", "dir": r"delivered to maildir",
                        "no": r"dsn=5.2.0, status=bounced \(cannot append message to file /nonexistent/x/y: cannot create file exclusively: No such file"}.items():
        lab.send(name)
        lab.logs(rf"to=<{name}@localhost>.*{words}")
    with open(f"{lab.out}/box", encoding="utf-8") as file:
        text = file.read()
    assert text.startswith("From s@a.test  ") and text.endswith("\nbody\n\n")
    assert os.stat(f"{lab.out}/box").st_uid == NOBODY


def test_allow_mail_to_commands(lab):
    lab.start("allow_mail_to_commands = forward", "allow_mail_to_files =", aliases="a: \"|{out}/end 0\"\nf: {out}/x\n")
    lab.forward("victim", "\"|{out}/end 0\"\n")
    lab.send("a")
    lab.logs(r"to=<a@localhost>.*dsn=5.7.1, status=bounced \(mail to command is restricted\)")
    lab.send("victim")
    lab.logs(r"to=<victim@localhost>.*delivered to command")


def test_allow_mail_to_files(lab):
    lab.start("allow_mail_to_files =", aliases="f: {out}/x\n")
    lab.send("f")
    lab.logs(r"to=<f@localhost>.*dsn=5.7.1, status=bounced \(mail to file is restricted\)")


def test_lists(lab):
    lab.start(aliases="l: :include:{out}/list\nno: :include:/nonexistent\nrel: :include:list\ncmd: :include:{out}/cmd\n")
    lab.write(f"{lab.out}/list", "# people\nvictim, mallory\n:include:{out}/list\nvictim\n")
    lab.write(f"{lab.out}/cmd", "\"|{out}/end 0\"\n{out}/x\n")
    lab.send("l")
    lab.logs(r"to=<l@localhost>.*forwarded as")
    lab.mails("victim")
    lab.mails("mallory")
    for name, words in {"no": "unable to lookup :include: file /nonexistent: No such file", "rel": ":include:list uses a relative path"}.items():
        lab.send(name)
        lab.logs(words)
        lab.logs(rf"to=<{name}@localhost>.*dsn=5.3.5, status=bounced \(mail system configuration error\)")
    lab.send("cmd")
    lab.logs(r"mail to command is restricted")
    lab.logs(r"mail to file is restricted")


def chain(lab, count):
    for i in range(count):
        lab.write(f"{lab.out}/l{i}", f":include:{{out}}/l{i + 1}\n", user="mallory")
    lab.write(f"{lab.out}/l{count}", "victim\n", user="mallory")


def test_lists_in_lists(lab):
    """As deep as in Postfix; what goes on for ever comes to an end, and the process lives."""
    aliases = "".join(f"a{i}: a{i + 1}\n" for i in range(23)) + "a23: :include:{out}/l97\n"
    lab.start("default_process_limit = 2", aliases="l5: :include:{out}/l5\nl6: :include:{out}/l6\na: a, :include:{out}/l98\n" + aliases)
    chain(lab, 100)
    lab.send("l6")
    lab.mails("victim")
    lab.send("l5")
    lab.logs(r"orig_to=<l5@localhost>.*dsn=5.4.6, status=bounced \(alias database loop for victim\)")
    lab.send("a0")
    lab.logs(r"orig_to=<a0@localhost>.*alias database loop for victim")
    lab.send("a1")
    lab.mails("victim", 2)
    assert "killed by signal" not in lab.server.log() and "died with signal" not in lab.server.log()


def test_deep_aliases_before_a_list_and_a_user(lab):
    """The stack holds what the level allows, whatever stands at the end."""
    aliases = "".join(f"a{i}: a{i + 1}\n" for i in range(23)) + "a23: mallory, :include:{out}/l\n"
    lab.start("allow_mail_to_commands = alias, forward, include", "allow_mail_to_files = alias, forward, include", aliases=aliases)
    for name in ("l", "m"):
        lab.write(f"{lab.out}/{name}", f"\"|{{out}}/end 0 {name}\", {{out}}/box, victim\n", user="mallory")
    lab.forward("mallory", ":include:{out}/m, \\mallory\n")
    lab.send("a1")
    lab.mails("mallory")
    lab.mails("victim")
    for name in ("l", "m"):
        lab.logs(rf"orig_to=<a1@localhost>.*delivered to command: \S+/end 0 {name}\)")
    lab.logs(r"orig_to=<a1@localhost>.*delivered to file: \S+/box")
    assert not re.search("killed by signal|died with signal|loop", lab.server.log())


def test_lists_of_one_tree_have_an_end(lab):
    """However many there are: what is read for one recipient has a limit, and the memory of a list goes with it."""
    lab.start(aliases="big: :include:{out}/b0, victim\n")
    comment = "#" + "x" * 1000 + "\n"
    for i in range(4):
        lab.write(f"{lab.out}/b{i}", comment * 10000 + f":include:{{out}}/b{i + 1}\n")
    lab.send("big")
    lab.logs(r"warning: :include: file \S+/b3: with those before it these are more than 33554432 bytes")
    lab.logs(r"to=<big@localhost>.*dsn=5.3.4, status=bounced \(:include: files are too long\)")
    lab.mails("victim")


def test_forward_file(lab):
    lab.start(aliases="")
    lab.forward("victim", "# mine\n\\victim, mallory\nx@other.test\n\"|{out}/show fwd\"\n~/box\n")
    lab.send("victim+e")
    for words in (r"to=<victim@\S+>, orig_to=<victim\+e@localhost>, .*delivered to maildir", r"to=<victim\+e@localhost>, .*delivered to command: \S+/show fwd",
                  r"to=<victim\+e@localhost>, .*delivered to file: \S+/box", r"to=<victim\+e@localhost>, .*forwarded as"):
        lab.logs(words)
    lines, _ = lab.seen("victim")
    assert lines[0] == str(USERS["victim"]) and f"HOME={lab.server.home('victim')}" in lines and "SHELL=/bin/sh" in lines
    lab.mails("victim")
    assert "\nDelivered-To: victim+e@localhost\n" in lab.mails("mallory")[0]
    assert os.stat(f"{lab.server.home('victim')}/box").st_uid == USERS["victim"]


def test_forward_path(lab):
    lab.start(aliases="")
    lab.forward("victim", "mallory\n", ".forward+list")
    lab.forward("mallory", "")
    lab.send("victim+List")
    lab.mails("mallory")
    lab.send("victim")
    lab.mails("victim")


def test_propagate_forward_extension(lab):
    lab.start("propagate_unmatched_extensions = forward", "forward_path = $home/.elsewhere")
    lab.forward("victim", "x@other.test\n", ".elsewhere")
    lab.send("victim+foo")
    lab.logs(r"to=<x\+foo@other.test>, orig_to=<victim\+foo@localhost>")


def test_forward_expansion_filter(lab):
    lab.start("forward_path = $home/$extension", "forward_expansion_filter = /abcdefghijklmnopqrstuvwxyz-0123456789_")
    lab.forward("victim", "mallory\n", "__x")
    lab.send("victim+..x")
    lab.mails("mallory")


def test_frozen_delivered_to(lab):
    lab.start("frozen_delivered_to = no", aliases="team: victim\n")
    lab.send("team")
    assert re.search(r"\nDelivered-To: victim@", lab.mails("victim")[0])


@pytest.mark.parametrize("value, has", [("command, file", True), ("command, forward", False)])
def test_prepend_delivered_header(lab, value, has):
    lab.start(f"prepend_delivered_header = {value}")
    lab.send("victim")
    assert ("\nDelivered-To: " in lab.mails("victim")[0]) is has


def test_mailbox_command(lab):
    lab.start("mailbox_command = {out}/show \"$SENDER\" '$USER'".replace("{out}", lab.out))
    lab.forward("mallory", "victim\n")
    lab.send("victim+X&Y", sender="a$b@a.test")
    lines, body = lab.seen("victim")
    assert lines[0] == str(USERS["victim"]) and "arg[a_b@a.test]" in lines and "arg[$USER]" in lines and "EXTENSION=x_y" in lines
    assert body.startswith(b"From ") and b"\nDelivered-To: victim+X&Y@localhost\n" in body
    lab.send("root")
    assert lab.seen("root")[0][0] == str(NOBODY)
    lab.send("mallory")
    assert "ORIGINAL_RECIPIENT=mallory@localhost" in lab.seen("victim")[0]


def test_mailbox_command_maps(lab):
    lab.start(f"mailbox_command_maps = inline:{{ {{victim={lab.out}/end 67 map}} }}")
    lab.send("victim+x")
    lab.logs(r"user unknown. Command output: map")
    lab.send("mallory")
    lab.mails("mallory")


def test_command_execution_directory(lab):
    lab.start(f"mailbox_command = {lab.out}/show", "command_execution_directory = $home")
    lab.send("victim")
    assert lab.seen("victim")[0][2] == lab.server.home("victim")
    os.rename(lab.server.home("victim"), lab.server.home("victim") + "x")
    lab.send("victim")
    lab.logs(r"fatal: cannot change directory to \"\S+/victim\" for uid=\d+ gid=\d+: No such file or directory")
    lab.logs(r"to=<victim@localhost>.*status=deferred \(temporary failure\)")


def test_execution_directory_expansion_filter(lab):
    lab.start(f"mailbox_command = {lab.out}/show", f"command_execution_directory = {lab.out}/$extension", "execution_directory_expansion_filter = abc")
    os.mkdir(f"{lab.out}/ab__")
    lab.send("victim+ab..")
    assert lab.seen("victim")[0][2] == f"{lab.out}/ab__"


def test_local_command_shell(lab):
    lab.write(f"{lab.out}/shell", "#!/bin/sh\necho \"shell[$1][$2]\"\nexit 67\n", mode=0o755)
    lab.start(f"local_command_shell = {lab.out}/shell -c", aliases="cmd: \"|/bin/true x y\"\n")
    lab.send("cmd")
    lab.logs(r"Command output: shell\[-c\]\[/bin/true x y\]")


def test_mailbox_transport(lab):
    lab.start("mailbox_transport = discard:all", "mailbox_transport_maps = inline:{ {victim=discard:one} }", aliases="pair: victim, mallory\n")
    lab.send("victim+x", "nosuch")
    lab.logs(r"passing <victim\+x@localhost> to transport=discard")
    lab.logs(r"to=<victim\+x@localhost>, relay=none, .*status=sent \(one\)")
    lab.logs(r"to=<nosuch@localhost>, relay=none, .*status=sent \(all\)")
    lab.send("pair")
    lab.logs(r"to=<victim@\S+>, orig_to=<pair@localhost>, relay=none, .*status=sent \(one\)")
    lab.logs(r"to=<mallory@\S+>, orig_to=<pair@localhost>, relay=none, .*status=sent \(all\)")


def test_transport_that_puts_a_member_off(lab):
    """Its agent may not mark the recipient, of whom it has only a part."""
    lab.start("mailbox_transport_maps = inline:{ {victim=retry:4.2.0} {mallory=discard:x} }", aliases="pair: victim, mallory\n")
    lab.send("pair")
    lab.logs(r"to=<victim@\S+>, orig_to=<pair@localhost>, relay=none, .*status=deferred")
    lab.logs(r"to=<mallory@\S+>, orig_to=<pair@localhost>, .*status=sent")
    assert "pair@localhost" in lab.server.command("postqueue", "-p").stdout


def test_members_elsewhere_wait_for_a_member_whose_transport_puts_him_off(lab):
    """All is tried again: who got the mail at the first attempt would get one at each."""
    lab.start("mailbox_transport_maps = inline:{ {victim=retry:4.2.0} }", aliases="team: victim, ext@other.test\n")
    lab.send("team")
    lab.logs(r"to=<victim@\S+>, orig_to=<team@localhost>, relay=none, .*status=deferred")
    lab.server.command("postqueue", "-f")
    wait_until(lambda: len(re.findall(r"to=<victim@\S+>, .*status=deferred", lab.server.log())) == 2, 20, "a second attempt")
    assert "forwarded as" not in lab.server.log() and "ext@other.test" not in lab.server.log()
    with open(f"{lab.server.etc}/main.cf", "a", encoding="utf-8") as file:
        file.write("mailbox_transport_maps =\n")
    lab.server.reload()
    lab.server.command("postqueue", "-f")
    lab.mails("victim")
    lab.logs(r"to=<ext@other.test>.*status=sent")
    assert lab.server.log().count("forwarded as") == 1


def test_fallback_transport(lab):
    lab.start("fallback_transport = discard:all", "fallback_transport_maps = inline:{ {nobody1=discard:one} }")
    lab.send("nobody1", "nobody2", "victim")
    lab.logs(r"to=<nobody1@localhost>.*status=sent \(one\)")
    lab.logs(r"to=<nobody2@localhost>.*status=sent \(all\)")
    lab.mails("victim")


def test_require_home_directory(lab):
    lab.start("require_home_directory = yes", "home_mailbox =")
    os.rename(lab.server.home("victim"), lab.server.home("victim") + "x")
    lab.send("victim")
    lab.logs(r"status=deferred \(cannot access home directory \S+/victim: No such file or directory\)")


@pytest.mark.parametrize("searched", [True, False])
def test_home_below_a_directory_that_only_its_users_may_search(lab, searched):
    """What mail_owner may see says nothing of it."""
    lab.start("require_home_directory = yes", "home_mailbox =")
    above = os.path.dirname(lab.server.home("victim"))
    os.chown(above, 0, USERS["victim"])
    os.chmod(above, 0o710 if searched else 0o700)
    lab.send("victim")
    lab.logs(r"to=<victim@localhost>.*status=sent \(delivered to mailbox\)" if searched else
             r"status=deferred \(cannot access home directory \S+/victim: Permission denied\)")


def test_luser_relay_is_followed_once(lab):
    lab.start("luser_relay = $user-gone")
    lab.send("nosuch")
    lab.logs(r"to=<nosuch-gone@\S+>, orig_to=<nosuch@localhost>.*unknown user: \"nosuch-gone\"")


def test_member_with_his_own_forward_file(lab):
    """Who names himself in it gets it too, as a member of an alias as well; twice named is once delivered, another extension is another mailbox."""
    lab.start(aliases="team: victim, again\nagain: victim, mallory, mallory, mallory+x\n")
    lab.forward("victim", "\\victim, {out}/file\n")
    lab.write(f"{lab.out}/file", "", mode=0o666)
    lab.send("team")
    lab.logs(r"to=<mallory\+x@")
    lab.mails("victim")
    lab.mails("mallory", 2)
    assert len(re.findall(r"delivered to file", lab.server.log())) == 1


def test_empty_sender_in_the_environment(lab):
    lab.start(f"mailbox_command = {lab.out}/show")
    lab.send("victim", sender="")
    assert "SENDER=" in lab.seen("victim")[0]


def test_command_expansion_filter(lab):
    lab.start(f"mailbox_command = {lab.out}/show", "command_expansion_filter = abcdefghijklmnopqrstuvwxyz@")
    lab.send("victim", sender="s.1@a.test")
    assert "SENDER=s__@a_test" in lab.seen("victim")[0]


def test_postmaster_without_alias(lab):
    lab.start()
    lab.send("postmaster")
    lab.logs(r"warning: required alias not found: postmaster")
    lab.logs(r"to=<postmaster@localhost>.*status=sent \(discarded\)")


def test_local_delivery_status_filter(lab):
    lab.write(f"{lab.server.etc}/filter", "/^5\\.1\\.1 unknown user/ 4.1.1 not yet\n")
    lab.start(f"local_delivery_status_filter = regexp:{lab.server.etc}/filter")
    lab.send("nosuch")
    lab.logs(r"dsn=4.1.1, status=deferred \(not yet\)")


def test_virtual_delivery_status_filter(lab):
    lab.write(f"{lab.server.etc}/filter", "/^5\\.1\\.1 unknown user/ 5.1.6 gone\n")
    lab.start(f"virtual_delivery_status_filter = regexp:{lab.server.etc}/filter", "virtual_mailbox_domains = v.test", f"virtual_mailbox_base = {lab.out}",
              "virtual_uid_maps = static:5000", "virtual_gid_maps = static:5000", "smtpd_reject_unlisted_recipient = no", "virtual_mailbox_maps = inline:{a@v.test=a/}")
    with lab.server.smtp() as client:
        client.sendmail("s@a.test", ["b@v.test"], "x\r\n")
    lab.logs(r"to=<b@v.test>, relay=virtual, .*dsn=5.1.6, status=bounced \(gone\)")
