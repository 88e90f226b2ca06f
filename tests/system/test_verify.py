"""verify: probes, the cache, and what happens when one of them is in trouble. Words and statuses are compared with Postfix's in
tests/compat/scenario/verify."""
import contextlib
import os
import re
import signal
import threading
import time

from fake_smtp import FakeSMTP
from instance import free_port, wait_until
from verify_lab import hesitant_server, rcpt, started

def probes(mail, address):
    return len(re.findall(rf"to=<{re.escape(address)}>.*status=(?:un)?deliverable", mail.log()))


def cache(mail):
    return dict(line.split("\t", 1) for line in mail.command("postmap", "-s", "lmdb:" + mail.directory + "/cache").stdout.splitlines())


def test_a_hundred_sessions_wait_for_one_slow_probe(make_instance):
    with hesitant_server() as (server, hold):
        mail = started(make_instance, server, "address_verify_poll_count = 60", "default_process_limit = 200")
        replies = []
        waiting = [threading.Thread(target=lambda: replies.append(rcpt(mail, "slow@far.test"))) for _ in range(100)]
        for thread in waiting:
            thread.start()
        wait_until(lambda: any("slow@far.test" in line for c in server.connections for line in c.commands))
        assert rcpt(mail, "quick@far.test").startswith("250")
        assert not replies
        hold.set()
        for thread in waiting:
            thread.join(60)
        assert len(replies) == 100 and {reply[:3] for reply in replies} == {"250"}
        assert probes(mail, "slow@far.test") == 1


def test_an_address_that_stands_for_very_many(make_instance, tmp_path):
    """More of them than cleanup holds in memory: each is asked."""
    domain = ".".join(["d" * 60] * 3) + ".test"
    members = [f"{number:04}{'m' * 60}@{domain}" for number in range(1200)]
    table = tmp_path / "virtual"
    table.write_text("all@a.test " + ", ".join(members) + "\n")
    table.chmod(0o644)
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port())) as server:
        mail = started(make_instance, server, f"virtual_alias_maps = texthash:{table}", "virtual_alias_domains = a.test",
                       "virtual_alias_expansion_limit = 2000", "address_verify_poll_count = 30")
        assert rcpt(mail, "all@a.test").startswith("250")
        wait_until(lambda: mail.log().count("status=deliverable") == len(members), 60, "every member's answer")
        assert "corrupt" not in mail.log()


def test_a_client_is_put_off_and_the_answer_is_there_later(make_instance):
    slow = threading.Event()

    def wait(_argument, _connection):
        slow.wait(20)
        return "550 5.1.1 no"
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port(), rcpt=wait)) as server:
        mail = started(make_instance, server, "address_verify_poll_count = 1")
        assert rcpt(mail, "x@far.test") == (
            "450 4.1.1 <x@far.test>: Recipient address rejected: unverified address: Address verification in progress")
        slow.set()
        mail.wait_log("status=undeliverable")
        assert rcpt(mail, "x@far.test").startswith("550 5.1.1 <x@far.test>: Recipient address rejected: undeliverable address: host 127.0.0.5")


def test_verify_dies_while_clients_wait(make_instance):
    with hesitant_server() as (server, hold):
        mail = started(make_instance, server, "address_verify_poll_count = 10")
        mail.stop()
        mail.configure([f"address_verify_map = lmdb:{mail.directory}/cache"])
        mail.start()
        assert rcpt(mail, "before@far.test").startswith("250")
        replies = []
        waiting = [threading.Thread(target=lambda: replies.append(rcpt(mail, "slow@far.test"))) for _ in range(5)]
        for thread in waiting:
            thread.start()
        wait_until(lambda: any("slow@far.test" in line for c in server.connections for line in c.commands))
        for pid in mail.processes("verify"):
            os.kill(pid, signal.SIGKILL)
        hold.set()
        for thread in waiting:
            thread.join(60)
        assert {reply[:3] for reply in replies} == {"250"} and len(replies) == 5
        # What was known is known still, and no probe was lost or sent twice.
        assert rcpt(mail, "before@far.test").startswith("250")
        assert probes(mail, "before@far.test") == 1 and probes(mail, "slow@far.test") == 1
        mail.wait_empty()


def test_a_broken_cache_file_is_put_aside(make_instance):
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port())) as server:
        mail = started(make_instance, server)
        mail.stop()
        mail.configure([f"address_verify_map = lmdb:{mail.directory}/cache"])
        with open(f"{mail.directory}/cache.lmdb", "wb") as file:
            file.write(b"no database " * 1000)
        mail.start()
        assert rcpt(mail, "x@far.test").startswith("250")
        mail.wait_log(r"warning: lmdb:\S+/cache: \S+cache.lmdb is broken .*: renamed to \S+cache.lmdb.broken")
        assert cache(mail)["x@far.test"].startswith("0:0:")
        with open(f"{mail.directory}/cache.lmdb.broken", "rb") as file:
            assert file.read(11) == b"no database"


def test_a_cache_that_cannot_be_is_kept_in_memory(make_instance):
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port())) as server:
        mail = started(make_instance, server, "address_verify_map = lmdb:/nowhere/at/all")
        assert rcpt(mail, "x@far.test").startswith("250") and rcpt(mail, "x@far.test").startswith("250")
        mail.wait_log("warning: address_verify_map: .*No such file or directory: results will be remembered in memory only")
        assert probes(mail, "x@far.test") == 1


def test_a_copied_cache_is_used_and_cleaned(make_instance):
    """Entries as Postfix writes them; what is too old goes, at the time of the next cleaning."""
    now = int(time.time())
    day = 86400
    lines = {"known@far.test": f"0:0:{now - day}:250 2.1.5 Ok", "refused@far.test": f"2:0:{now - 60}:host said: 550 no",
             "old@far.test": f"0:0:{now - 40 * day}:250 2.1.5 Ok", "oldno@far.test": f"2:0:{now - 4 * day}:host said: 550 no",
             "odd@far.test": "who knows", "asked@far.test": f"3:{now - 5}:0:Address verification in progress",
             "lost@far.test": f"3:{now - 2000}:0:Address verification in progress"}
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port())) as server:
        mail = started(make_instance, server, "address_verify_cache_cleanup_interval = 2s")
        mail.stop()
        mail.configure([f"address_verify_map = lmdb:{mail.directory}/cache"])
        with open(f"{mail.directory}/cache", "w", encoding="utf-8") as file:
            file.write("".join(f"{key} {value}\n" for key, value in lines.items()))
        mail.command("postmap", f"lmdb:{mail.directory}/cache")
        mail.start()
        assert rcpt(mail, "known@far.test").startswith("250")
        assert rcpt(mail, "refused@far.test").startswith("550 5.1.1 <refused@far.test>: Recipient address rejected: undeliverable address: host said")
        assert not server.connections
        mail.wait_log("full cleanup: retained=3 dropped=4 entries")
        kept = set(cache(mail)) - {"_LAST_CACHE_CLEANUP_COMPLETED_"}
        assert kept == {"known@far.test", "refused@far.test", "asked@far.test"}
        mail.wait_log("full cleanup: retained=3 dropped=0 entries")


def test_without_the_service_clients_are_put_off(make_instance):
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port())) as server:
        mail = started(make_instance, server, "address_verify_service_name = nothere", "ipc_timeout = 3s")
        assert rcpt(mail, "x@far.test") == (
            "450 4.1.1 <x@far.test>: Recipient address rejected: unverified address: Address verification problem")
        mail.wait_log("warning: nothere service: ")
