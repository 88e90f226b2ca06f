"""Mailing lists of mlmmj: run from aliases and by pipe(8), as its documents say. Members subscribe, post and moderate by mail; posts come
back through our smtpd with a sender for each member; what bounces comes back to the list."""
import re

import pytest

from instance import wait_until
from program_lab import TORTURE, ProgramLab

LIST = "/var/spool/mlmmj/talk"
MAKE = f"""useradd -r -d /var/spool/mlmmj mlmmj
mkdir -p {LIST}
printf 'lab.test\\nroot@lab.test\\nen\\nN\\n' | mlmmj-make-ml -L talk -c {{owner}} >/tmp/made 2>&1
chown -R {{owner}} /var/spool/mlmmj
chmod 755 /var/spool/mlmmj
"""
PIPE = "mlmmj unix - n n - - pipe flags=ORhu user=mlmmj argv=/usr/bin/mlmmj-receive -F -L /var/spool/mlmmj/$nexthop"


@pytest.fixture(scope="module", params=["aliases", "pipe"])
def talk(request):
    with ProgramLab("mlmmj") as lab:
        lab.owner = {"aliases": "nobody", "pipe": "mlmmj"}[request.param]
        lab.root.run(MAKE.format(owner=lab.owner))
        if request.param == "aliases":
            lab.root.write("/etc/aliases", f'talk: "|/usr/bin/mlmmj-receive -L {LIST}/"\n')
            lab.begin(["authorized_verp_clients = $mynetworks", "alias_maps = hash:/etc/aliases", "alias_database = hash:/etc/aliases"])
            lab.root.run(["newaliases"])
        else:
            lab.root.write("/var/spool/mlmmj/virtual", "talk@lab.test lab.test--talk@localhost.mlmmj\n")
            lab.root.write("/var/spool/mlmmj/transport", "lab.test--talk@localhost.mlmmj mlmmj:talk\n")
            lab.root.run("postmap /var/spool/mlmmj/virtual /var/spool/mlmmj/transport")
            lab.begin(["authorized_verp_clients = $mynetworks", "mlmmj_destination_recipient_limit = 1", "virtual_alias_maps = hash:/var/spool/mlmmj/virtual",
                       "propagate_unmatched_extensions = virtual", "transport_maps = hash:/var/spool/mlmmj/transport"], [PIPE])
        subscribe(lab, "alice")
        yield lab


def subscribe(lab, user):
    lab.root.run(["/usr/bin/mlmmj-sub", "-L", LIST, "-a", f"{user}@lab.test", "-s"], user=lab.owner)


def control(lab, name, text=""):
    lab.root.write(f"{LIST}/control/{name}", text)
    lab.root.run(["chown", lab.owner, f"{LIST}/control/{name}"])


def post(lab, body=b"text\n", sender="alice@lab.test", to="talk"):
    return lab.give(f"{to}@lab.test", body, sender, f"To: {to}@lab.test\n")


def answer(lab, user, pattern):
    """Waits for a mail from the list that asks for an answer, and answers it."""
    def asked():
        for text in lab.mailbox(user):
            found = re.search(rf"(?m)^Reply-To: <?({pattern}@lab\.test)".encode(), text)
            if found:
                return found[1].decode()
        return None
    try:
        to = wait_until(asked, what=f"a question to {user}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{lab.log()[-3000:]}\n{lab.mailbox(user)}") from None
    lab.give(to, b"yes\n", f"{user}@lab.test", f"To: {to}\n")


def members(lab):
    return set(lab.root.run(f"cat {LIST}/subscribers.d/*", check=False).stdout.split())


def test_subscribe_by_mail(talk):
    post(talk, sender="bob@lab.test", to="talk+subscribe")
    answer(talk, "bob", r"talk\+confsub-[\w=.-]+")
    wait_until(lambda: "bob@lab.test" in members(talk), what="bob's subscription\n" + talk.log()[-3000:])


def test_posts_arrive_whole(talk):
    """But for an empty line at the end, which mlmmj adds to what it sends."""
    sent = {name: post(talk, body) for name, body in TORTURE.items()}
    for name, subject in sent.items():
        head, body = talk.arrives("alice", subject)
        wanted = TORTURE[name] + (b"" if not TORTURE[name] or TORTURE[name].endswith(b"\n") else b"\n") + b"\n"
        assert body == wanted, (name, body[:300])
        assert re.match(r"Return-Path: <talk\+bounces-\d+-alice=lab\.test@lab\.test>\nX-Original-To: alice@lab\.test\n", head), head


@pytest.mark.parametrize("verp", ["list", "server"])
def test_bounces_come_back_to_the_list(talk, verp):
    """A sender for each member, made by the list, or, at its word XVERP, by us: a member that bounces is noted."""
    if verp == "server":
        control(talk, "verp", "postfix")
    for member in ("bob", "nosuch"):
        subscribe(talk, member)
    talk.root.run(f"rm -rf {LIST}/bounce/*")
    subject = post(talk)
    for user in ("alice", "bob"):
        head, _ = talk.arrives(user, subject)
        assert re.match(rf"Return-Path: <talk\+bounces-\d+-{user}=lab\.test@lab\.test>\n", head), head
    talk.wait_log(r"from=<talk\+bounces-\d+@lab\.test>, size=\d+, nrcpt=3 " if verp == "server" else r"from=<talk\+bounces-\d+-alice=lab\.test@lab\.test>")
    wait_until(lambda: talk.root.exists(f"{LIST}/bounce/nosuch=lab.test"), what="the bounce\n" + talk.log()[-3000:])
    talk.wait_empty()
    assert set(talk.root.run(f"ls {LIST}/bounce").stdout.split()) <= {"nosuch=lab.test", "nosuch=lab.test.lastmsg"}
    talk.root.run(["/usr/bin/mlmmj-unsub", "-L", LIST, "-a", "nosuch@lab.test", "-s"], user=talk.owner)
    talk.root.run(f"rm -f {LIST}/control/verp")


def test_moderation(talk):
    control(talk, "moderated")
    control(talk, "moderators", "bob@lab.test\n")
    subject = post(talk, b"may I?\n")
    answer(talk, "bob", r"talk\+(?:moderate|release)-[\w=.-]+")
    assert talk.arrives("alice", subject)[1] == b"may I?\n\n"
    talk.root.run(f"rm {LIST}/control/moderated")


def test_unsubscribe_by_mail(talk):
    subscribe(talk, "bob")
    post(talk, sender="bob@lab.test", to="talk+unsubscribe")
    answer(talk, "bob", r"talk\+confunsub-[\w=.-]+")
    wait_until(lambda: "bob@lab.test" not in members(talk), what="bob's leave\n" + talk.log()[-3000:])
