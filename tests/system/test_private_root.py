"""The private root and the reference in it: what other tests stand on."""
import os

from instance import wait_until
from private_root import PrivateRoot
from reference import Reference


def test_a_private_root_leaves_nothing():
    with PrivateRoot() as root:
        root.write("/etc/only-inside", "x")
        root.popen(["sh", "-c", "setsid sleep 1000 & sleep 1000"])
        root.run("mount -t tmpfs tmpfs /mnt && touch /mnt/y")
        assert root.run(["cat", "/etc/only-inside"]).stdout == "x"
        pids = root.processes()
        assert pids
    assert not os.path.exists("/etc/only-inside")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert "build/private-root" not in file.read()


def test_a_user_of_the_root_has_no_rights_of_ours():
    with PrivateRoot() as root:
        root.add_user("throwaway")
        done = root.run(["id", "-un"], user="throwaway")
        assert done.stdout == "throwaway\n"
        assert root.run(["touch", "/etc/x"], user="throwaway", check=False).returncode != 0
        assert root.run(["touch", f"{os.path.dirname(__file__)}/x"], check=False).returncode != 0


def test_ports_and_addresses_are_its_own():
    with PrivateRoot() as root:
        server = root.popen(["python3", "-c", "import socket; s = socket.create_server(('127.0.0.5', 25)); "
                             "c, who = s.accept(); c.sendall(who[0].encode())"])

        def connect():
            try:
                return root.connect(25, "127.0.0.5", "127.0.0.77")
            except ConnectionError:
                return None
        with wait_until(connect) as client:
            assert client.recv(100) == b"127.0.0.77"
        server.wait()


def test_the_reference_delivers():
    server = Reference()
    try:
        print(f"reference: Postfix {server.version}")
        server.configure(["myhostname = ref.test"])
        server.start()
        with server.smtp() as client:
            client.sendmail("a@b.test", ["alice@ref.test"], "Subject: x\r\n\r\nhello")
        server.sendmail("Subject: y\n\nyy\n", "alice", user="bob")
        assert len(server.wait_mail(2, user="alice")) == 2
        wait_until(lambda: not server.queued(), what="an empty queue")
        with server.connect("127.0.0.2") as wire:
            assert wire.greeting.startswith("220 ref.test ESMTP Postfix")
        server.stop()
        wait_until(lambda: not server.processes(), what="no process")  # it does not wait for its daemons
    finally:
        server.destroy()
