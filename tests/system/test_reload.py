"""Reload under load: no session dropped, no message refused, lost or delivered twice."""
import re
import smtplib
import threading
import time

from instance import USER, wait_until


def test_fifty_reloads_under_load_drop_no_session_and_lose_no_message(make_instance):
    server = make_instance()
    stop, accepted, trouble = threading.Event(), [], []

    def client(number):
        count = 0
        while not stop.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as session:
                    for _ in range(5):
                        name = f"{number}-{count}"
                        count += 1
                        session.sendmail("a@load.test", [f"{USER}@localhost"], f"Subject: {name}\n\nbody\n")
                        accepted.append(name)
            except (OSError, smtplib.SMTPException) as error:
                trouble.append(repr(error))

    threads = [threading.Thread(target=client, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(accepted) > 50, 20, "some messages")
    for _ in range(50):
        server.reload()
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert trouble == [], (trouble[:5], server.log()[-4000:])
    server.wait_empty(60)
    got = sorted(re.search(rb"(?m)^Subject: (.*)$", message).group(1).decode() for message in server.mailbox())
    assert got == sorted(accepted)
    assert server.log().count("reload -- version") == 50
    assert "killed by signal" not in server.log()
