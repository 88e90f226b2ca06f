"""What a crash leaves behind is found by whoever comes next. The storms of signal 9 are in test_storm.py."""
import os
import signal

from instance import USER, free_port, wait_until


def test_mail_that_nobody_announced_is_found_after_a_crash(make_instance):
    """cleanup may die between its commit and its word to qmgr: the file in incoming does not wait for minutes."""
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}"])
    with server.smtp() as client:
        client.sendmail("s@a.test", ["x@refused.test"], "Subject: x\r\n\r\nx\r\n")
    path = wait_until(lambda: [os.path.join(d, f) for d, _, files in os.walk(f"{server.queue}/deferred") for f in files],
                      what="a deferred file")[0]
    os.rename(path, f"{server.queue}/incoming/{os.path.basename(path)}")
    for pid in server.processes("cleanup"):
        os.kill(pid, signal.SIGKILL)
    server.wait_log(rf"{os.path.basename(path)}: from=<s@a\.test>.*queue active", 10, count=2)


def test_the_system_starts_while_processes_of_a_killed_master_still_end(instance):
    """They hold the lock of the queue for a moment, and recovery waits for it."""
    for pid in instance.processes("master"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not instance.processes("master"), what="the end of master")
    instance.start()
    with instance.smtp() as client:
        client.sendmail("s@a.test", [f"{USER}@localhost"], "Subject: x\r\n\r\nx\r\n")
    instance.wait_mail(1)
